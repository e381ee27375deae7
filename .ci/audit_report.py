"""Says what pip-audit found, in a line each; ends with 1 if a package is vulnerable."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(report: Path) -> int:
    """Print the report, and return the exit code."""
    content = report.read_text(encoding="utf-8") if report.exists() else '{"dependencies": []}'
    packages = json.loads(content)["dependencies"]
    known = [package for package in packages if "skip_reason" not in package]
    if not known:
        print("Packages were not audited: no data about them can be reached.")
        return 0
    rest = "; of the others nothing is known" if len(known) < len(packages) else ""
    print(f"Audited {len(known)} of {len(packages)} packages{rest}.")
    found = [(package, each) for package in known for each in package["vulns"]]
    for package, each in found:
        fixed = ", ".join(each["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {each['id']}, mended in {fixed}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
