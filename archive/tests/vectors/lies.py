"""What a case is, and the lies that several families of cases tell."""

import copy

from draft import Draft
from packed import Gzip, Zstd

WHOLE, NOT_AN_ARCHIVE, VERSION, CUT_SHORT = "whole", "NotAnArchive", "Version", "CutShort"
MEMBER, ENTRY, LIMIT = "Member", "Entry", "Limit"

KINDS = {"gzip": Gzip, "zstd": Zstd}


class Case:
    def __init__(self, name, expect, comment, archive, says=""):
        self.name, self.expect, self.comment, self.archive, self.says = name, expect, comment, archive, says


class Cases(list):
    """The cases of one layer; each makes a fresh draft and tells its lies to it.

    `says` has, for the comment of a rule, what the error says of an archive that breaks it.
    """

    def __init__(self, layer, says=None):
        super().__init__()
        self.layer, self.says = layer, says or {}

    def add(self, name, expect, comment, *lies, says="", kind=Gzip, member_size=8_192):
        draft = Draft(kind, member_size)
        for lie in lies:
            lie(draft)
        self.raw(name, expect, comment, draft.build(), says)

    def both(self, name, expect, comment, *lies, **options):
        """For a rule that members and frames share."""
        for kind_name, kind in KINDS.items():
            self.add(f"{kind_name}-{name}", expect, comment, *lies, kind=kind, **options)

    def raw(self, name, expect, comment, archive, says=""):
        if expect in (MEMBER, ENTRY):
            says = says or self.says.get(comment, "")
        self.append(Case(f"{self.layer}-{name}", expect, comment, archive, says))


def setting(**values):
    """Sets attributes of the draft."""
    return lambda draft: vars(draft).update(values)


def fields(path, /, **values):
    return lambda draft: draft.entry(path).fields.update(values)


def pax(path, values):
    return lambda draft: draft.entry(path).pax.update(values)


def without_pax(path, keyword):
    return lambda draft: draft.entry(path).pax.pop(keyword)


def attributes(path, /, **values):
    return lambda draft: vars(draft.entry(path)).update(values)


def replace(path, *entries):
    def lie(draft):
        place = draft.place(path)
        draft.entries[place : place + 1] = copy.deepcopy(entries)

    return lie


def content(path, content):
    """Other bytes in an entry, whose size follows."""

    def lie(draft):
        entry = draft.entry(path)
        entry.content = content
        entry.fields["size"] = len(content)

    return lie


def insert(before, *entries):
    def lie(draft):
        place = draft.place(before)
        draft.entries[place:place] = copy.deepcopy(entries)

    return lie


def append(*entries):
    return lambda draft: draft.entries.extend(copy.deepcopy(entries))


def remove(*paths):
    def lie(draft):
        draft.entries = [entry for entry in draft.entries if entry.path not in paths]

    return lie


def move(path, before):
    def lie(draft):
        entry = draft.entries.pop(draft.place(path))
        draft.entries.insert(draft.place(before), entry)

    return lie


def record(path, /, **values):
    """Says something else in the index of one entry."""

    def lie(draft):
        told = draft.records
        draft.records = lambda records: [r | values if r["path"] == path else r for r in told(records)]

    return lie


def records(change):
    """Changes the list of records in place."""

    def lie(draft):
        told = draft.records

        def changed(records):
            records = told(records)
            change(records)
            return records

        draft.records = changed

    return lie


def summary(change):
    """Changes the summary in place."""

    def lie(draft):
        told = draft.summary

        def changed(summary):
            summary = told(copy.deepcopy(summary))
            change(summary)
            return summary

        draft.summary = changed

    return lie


def digest_follows_the_truth(draft):
    """The summary's index digest is that of what is there, where the index says something else."""
    draft.digested = lambda told, true: true


def vanished(key_path, before=None):
    """A record of an object that was listed and gone, before the record of a path; at the end without one."""

    def change(records):
        place = next((n for n, r in enumerate(records) if r["path"] == before), len(records))
        records.insert(place, {"path": key_path, "vanished": True})

    return records(change)
