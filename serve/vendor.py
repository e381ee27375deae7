"""Brings the scripts of other projects into ``kndb_serve/static/vendor``, at pinned versions.

    python serve/vendor.py

Each package is what npm's registry has under this name, version and SHA-512, or nothing is written.
The files are put together in one script, in the order in which they need each other; the licences
lie beside it. Needs npm, and is run by hand when a version changes.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

INTO = Path(__file__).parent / "kndb_serve" / "static" / "vendor"

# What drags and zooms the nodes of a drawing that the server has made. A library that also draws,
# such as cytoscape (373 kB), would draw it a second time, on a canvas without links and text.
PACKAGES = {
    "d3-dispatch@3.0.2": "sAzH4Y4nsLo8eSqw5jKiZt+LU2wZmL/qS+OkxQGjhwazB/D7TY34R/QK1eshfGr7cZEKymKZ/Haem7m+lu98Sg==",
    "d3-timer@3.0.2": "1Il1aliroVSErrv5aulRBxAY+7+DnaoLIWGd1C6SsBTWDeobWiP/V69vwb8vT6abR1kKwaNe1196pmaQ1fK90A==",
    "d3-selection@3.0.1": "ODSf35vqCrlCfp7hrm0eZjvOosSXSYLjqvIlhMBV9q9VOx7EBJG6pc+uXBswEZNJgCGJ+qnKYcWutbZDIxe/Xg==",
    "d3-color@3.1.1": "lfab8x0Bj0UO7SNsY8dZSbNIA6ipbkE3X0NG9nqjCu6CfCHZseuDnOSJY7hidKrjpP++i1M2qT+FlAdPKYRilA==",
    "d3-ease@3.0.2": "B5znKqRmKROAN4oHWQ50W/qisVjA9GXh2WMsVKdFVp4DxWmcrOsweqgUOUVsv5th96kwaZlokU6SlV4J3gak1w==",
    "d3-interpolate@3.0.2": "IRzGU62DtxhvsnSTWMQIdnoZ6gA+BCWwBon1EJI6SjoN595799b6z/QRBzXfFhE8iupUPp3042yBNo0STPqnzQ==",
    "d3-transition@3.0.2": "RcjCsdFgyFoDB+QXLC5m60ZkTN0k9zH+ovoLlTdJnDS1AbfbcuowiM4pCKSTOclNibS4f4J4cbv2m7O7y8NTOQ==",
    "d3-drag@3.0.1": "OWeoayCq8J69hUIjvL+Mb6Q6Oaj/fyHV5XaXByEUAG+JUjIfTGDnk3qGpcXrD3VmQ3BSV96fcbM6fqq7C0tbPA==",
    "d3-zoom@3.0.1": "kfjD3BDQu/FOatpZ6JdMSyIoDwTxIpI29ySTI2J5ZlDaH1WbuJGQJ2Q9oJkWTEZEW98j6idezoomSD3Cn2zwiw==",
}
"""Packages with their versions and the SHA-512 of what npm's registry delivers, in Base64."""


def main() -> None:
    scripts, licences = [], []
    for package, sha512 in PACKAGES.items():
        name = package.partition("@")[0]
        script, licence = _files(package, sha512, f"dist/{name}.min.js", "LICENSE")
        scripts.append(script.strip())
        licences.append(f"{package}, https://www.npmjs.com/package/{name}\n\n{licence.strip()}\n")
    INTO.mkdir(exist_ok=True)
    (INTO / "d3.js").write_text("\n".join(scripts) + "\n", encoding="utf-8")
    (INTO / "d3.LICENSES.txt").write_text("\n\n".join(licences), encoding="utf-8")


def _files(package: str, sha512: str, *names: str) -> list[str]:
    """Files of a package.

    Raises:
        SystemExit: it is not the pinned one.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        (archive,) = Path(folder).iterdir()
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != sha512:
            raise SystemExit(f"{package} has SHA-512 {found}, but {sha512} is pinned.")
        texts = []
        with tarfile.open(archive) as files:
            for name in names:
                file = files.extractfile(f"package/{name}")
                assert file is not None
                texts.append(file.read().decode())
    return texts


if __name__ == "__main__":
    main()
