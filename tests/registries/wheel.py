# Makes two wheels of acme-hello here. It also says which variables it has that could hold a login.
import base64, hashlib, zipfile

for version in "0.9", "1.0":
    info = f"acme_hello-{version}.dist-info"
    files = {
        "acme_hello.py": "import os, sys\n\n\n"
        "def main():\n    print('hello from acme', *sys.argv[1:], *(n for n in os.environ if 'ACME' in n))\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: acme-hello\nVersion: {version}\nRequires-Python: >=3.8\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nacme-hello = acme_hello:main\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(f"acme_hello-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
