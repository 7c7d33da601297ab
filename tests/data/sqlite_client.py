"""A reader or a writer of an app's database, as its users have them: a process of its own that stays.

sqlite_client.py ROLE DATABASE STOP ROWS: goes on until the file STOP is there, and then tells in JSON what it saw.
"""

import json
import os
import sqlite3
import sys
import time

role, database, stop, rows = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
# Of the rows that were there in the beginning: each app has so many of its marker, and no other.
QUERY = "SELECT min(marker), max(marker), count(*) FROM items WHERE id < 1000000"
told = {"role": role, "seen": {}, "wrong": [], "failed": [], "written": [], "longest": 0.0}


def connect():
    connection = sqlite3.connect(database, timeout=10, isolation_level=None)
    connection.execute("PRAGMA busy_timeout = 10000")
    return connection


def timed(connection, sql, arguments=()):
    begun = time.monotonic()
    row = connection.execute(sql, arguments).fetchone()
    told["longest"] = max(told["longest"], time.monotonic() - begun)
    return row


def look(connection):
    least, most, count = timed(connection, QUERY)
    if least != most or rows.get(least) != count:
        told["wrong"].append([least, most, count])
    told["seen"][least] = told["seen"].get(least, 0) + 1
    return least


def read(connection):
    look(connection)


def read_again(connection):
    connection.execute("BEGIN")
    first = look(connection)
    time.sleep(0.03)
    second = look(connection)
    timed(connection, "COMMIT")
    if first != second:
        told["wrong"].append([first, second])


def read_anew(_):
    connection = connect()
    look(connection)
    connection.close()


def write(connection):
    number = 1000000 + len(told["written"]) + len(told["failed"])
    timed(connection, "BEGIN IMMEDIATE")
    timed(connection, "INSERT INTO items SELECT ?, min(marker), 'written' FROM items WHERE id < 1000000", (number,))
    time.sleep(0.01)
    timed(connection, "COMMIT")
    told["written"].append(number)


roles = {"read": read, "read again": read_again, "read anew": read_anew, "write": write}
connection = connect()
while not os.path.exists(stop):
    try:
        roles[role](connection)
    except sqlite3.Error as error:
        told["failed"].append(str(error))
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    time.sleep(0.005)
connection.close()
told["wrong"] = told["wrong"][:5]
print(json.dumps(told))
