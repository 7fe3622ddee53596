"""Adds up JUnit reports: lists what failed and what was skipped and why, then one line of counts."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main(folder: Path) -> int:
    passed, failed, skipped = 0, 0, 0
    reports = sorted(folder.glob("*.xml"))
    for report in reports:
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            name = f"{case.get('classname')}.{case.get('name')}"
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"failed: {name}")
            elif skip is not None:
                skipped += 1
                print(f"skipped: {name}: {skip.get('message')}")
            else:
                passed += 1
    if passed == 0:
        print(f"failed: no test passed ({len(reports)} reports in {folder})")
        failed += 1
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{tail}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
