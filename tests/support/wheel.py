# Makes wheels here: [{"name", "version", "files": {NAME: TEXT}, "main", "requires"}] on standard input, where `main` is
# the MODULE:FUNCTION of the one command, which is called as the package is, and `requires`, which need not be there,
# names another package.
import base64, hashlib, json, sys, zipfile

for wheel in json.load(sys.stdin):
    name, version = wheel["name"].replace("-", "_"), wheel["version"]
    info = f"{name}-{version}.dist-info"
    files = {
        **wheel["files"],
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {wheel['name']}\nVersion: {version}\nRequires-Python: >=3.8\n"
        + (f"Requires-Dist: {wheel['requires']}\n" if "requires" in wheel else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{wheel['name']} = {wheel['main']}\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(f"{name}-{version}-py3-none-any.whl", "w") as packed:
        for path, text in files.items():
            packed.writestr(path, text)
