"""Makes the vectors in this folder, or in the folder that is named: `python3 make.py [FOLDER]`.

Written from docs/FORMAT.md and age's specification with Python's standard library and the program `openssl`; the program
`age` must take the good envelopes. The same files come out each time. README.md tells what a vector is."""

import pathlib
import sys

import headers
import segments
from cases import Vectors


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    vectors = Vectors(folder)
    segments.make(vectors)
    headers.make(vectors)
    for stale in folder.glob("*.vector"):
        if stale.stem not in vectors.names:
            stale.unlink()


main()
