# Searches files, folders and whatever is packed in them for texts, plain and in base64.
#   search.py TEXTS PATH…      TEXTS: a file with one text a line
# Prints `found TEXT-NUMBER in PLACE`, and in the end how much was read.
import base64, bz2, gzip, io, lzma, os, sys, tarfile, urllib.parse, zipfile, zlib

texts = open(sys.argv[1]).read().split("\n")[:-1]
needles = []
for number, text in enumerate(texts):
    plain = text.encode()
    forms = {plain, urllib.parse.quote(text, safe="").encode(), plain.hex().encode()}
    for shift in range(3):
        for encode in base64.b64encode, base64.urlsafe_b64encode:
            # What stands before and after changes the first and last characters.
            forms.add(encode(b"\0" * shift + plain)[4 if shift else 0 :].rstrip(b"=")[:-1])
    needles += [(number, form) for form in forms]
total = files = 0


def look(place, data):
    global total, files
    if data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                match(place, repr(member.get_info()).encode())
                if member.isfile():
                    look(place + "!" + member.name, tar.extractfile(member).read())
        return
    total += len(data)
    files += 1
    match(place, data)
    for magic, unpack in (b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress), (b"\xfd7zXZ", lzma.decompress):
        if data.startswith(magic):
            try:
                look(place + "!", unpack(data))
            except (OSError, EOFError, lzma.LZMAError, zlib.error):
                pass
    if data[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for name in packed.namelist():
                look(place + "!" + name, packed.read(name))


def match(place, data):
    for number, form in needles:
        if form in data:
            print("found", number, "in", place)


for path in sys.argv[2:]:
    if os.path.isfile(path):
        look(path, open(path, "rb").read())
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            if os.path.isfile(file) and not os.path.islink(file):
                look(file, open(file, "rb").read())
print("read", files, "files,", total, "bytes")
