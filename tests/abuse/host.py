# What of the host's a box must not reach: a folder with a key, sockets, servers, shared memory, and this
# process itself. It lasts until its input ends.
#   host.py FOLDER MARK ADDRESS       prints what there is, as a line of JSON
import ctypes, json, os, socket, sys

folder, mark, address = sys.argv[1:]
secret = b"canary\n"
files = {"home/.ssh/id_ed25519": secret, "machine-id": b"canary-machine\n", "shared/old": secret}
for name, text in files.items():
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(text)
for path, folders, names in os.walk(folder):
    for name in names:
        os.chmod(os.path.join(path, name), 0o666)
    os.chmod(path, 0o777)
held = []


def listen(family, where):
    held.append(socket.socket(family))
    held[-1].bind(where)
    held[-1].listen(64)
    return held[-1].getsockname()


listen(socket.AF_UNIX, folder + "/engine.sock")
os.chmod(folder + "/engine.sock", 0o666)
listen(socket.AF_UNIX, "\0" + mark)
# As some versions of Node spell it.
listen(socket.AF_UNIX, ("\0" + mark).ljust(108, "\0"))
with open("/dev/shm/" + mark, "wb") as file:
    file.write(secret)
os.chmod("/dev/shm/" + mark, 0o666)
libc = ctypes.CDLL(None, use_errno=True)
key = 0x6A62_0000 | os.getpid() & 0xFFFF
memory = libc.shmget(key, 4096, 0o1666)
try:
    print(json.dumps({
        "address": address,
        "port": listen(socket.AF_INET, (address, 0))[1],
        "loopback": listen(socket.AF_INET, ("127.0.0.1", 0))[1],
        "pid": os.getpid(),
        "key": key,
    }), flush=True)  # fmt: skip
    sys.stdin.read()
finally:
    os.unlink("/dev/shm/" + mark)
    libc.shmctl(memory, 0, None)
