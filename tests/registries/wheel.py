# Makes the wheel of acme-hello here. It also says which variables it has that could hold a login.
import base64, hashlib, zipfile

info = "acme_hello-1.0.dist-info"
files = {
    "acme_hello.py": "import os, sys\n\n\ndef main():\n    print('hello from acme', *sys.argv[1:], *(n for n in os.environ if 'ACME' in n))\n",
    f"{info}/METADATA": "Metadata-Version: 2.1\nName: acme-hello\nVersion: 1.0\nRequires-Python: >=3.8\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{info}/entry_points.txt": "[console_scripts]\nacme-hello = acme_hello:main\n",
}
record = ""
for name, text in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    record += f"{name},sha256={digest},{len(text)}\n"
files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
with zipfile.ZipFile("acme_hello-1.0-py3-none-any.whl", "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
