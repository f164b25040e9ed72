"""What scripts/try shows: two real servers through the shims, and how the kernel says they are confined.

try.py BIN-FOLDER ENGINE [WORD…]: the words go before every command, for engines that are in a lane.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from mcp import Failed, Server, median, ms, start_ms

WARM_RUNS = 3
# Shim, package, native tool, a tool call.
SERVERS = [
    ("npx-safe", ["-y", "@modelcontextprotocol/server-everything"], ["npx"], ("echo", {"message": "hello from the box"})),
    ("uvx-safe", ["mcp-server-time"], ["uvx"], ("get_current_time", {"timezone": "Etc/UTC"})),
]


def output(argv, timeout=60):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, cwd="/")
    return done.stdout.strip() if done.returncode == 0 else ""


def row(name, value):
    print(f"  {name:<14} {value}", flush=True)


class Engine:
    def __init__(self, name, words):
        self.name, self.words = name, words

    def ask(self, *argv):
        return output([*self.words, self.name, *argv])

    def init_of(self, shim):
        """The pid of the box's first process: the shim's pid is in the box's name."""
        names = self.ask("ps", "--format", "{{.Names}}").split()
        for name in names:
            if name.startswith(f"jitbox-{shim}-"):
                return int(self.ask("inspect", "--format", "{{.State.Pid}}", name) or 0), name
        raise Failed(f"{self.name} knows no box of process {shim}")


def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def program_in(init):
    """The child of the box's first process that serves."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if status(entry.name)["PPid"].strip() == str(init):
                    found.append(int(entry.name))
            except OSError:
                pass
    if not found:
        raise Failed(f"process {init} has no child")
    return min(found)


def limits(pid):
    """What its cgroup allows, in the words of cgroup v2."""
    found = {}
    wanted = {
        "memory": ("memory.max", "memory.limit_in_bytes"),
        "pids": ("pids.max", "pids.max"),
        "cpu": ("cpu.max", "cpu.cfs_quota_us"),
    }
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name, (two, one) in wanted.items():
            if controllers == "":
                file = Path("/sys/fs/cgroup") / path.lstrip("/") / two
            elif name in controllers.split(","):
                file = Path("/sys/fs/cgroup") / name / path.lstrip("/") / one
            else:
                continue
            try:
                value = file.read_text().strip()
            except OSError:
                continue
            if not value.startswith(("max", "-1")) and not (value.isdigit() and int(value) >= 1 << 60):
                found[name] = value
    return found


def confinement(pid):
    """Shows it; returns what is not as it should be."""
    facts, wrong = status(pid), []
    uid = facts["Uid"].split()[1]
    network = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    interfaces = [line.split(":")[0].strip() for line in network]
    root = next(line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if line.split()[4] == "/")
    read_only = "ro" in root[5].split(",")
    cgroup = limits(pid)
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    row("process", f"{pid}: {command}")
    row("user", f"uid {uid} on this machine, we are {os.getuid()}")
    row("capabilities", f"effective {facts['CapEff'].strip()}, bounding {facts['CapBnd'].strip()}")
    row("privileges", f"NoNewPrivs {facts['NoNewPrivs'].strip()}, Seccomp {facts['Seccomp'].strip()} (2: filtered)")
    row("network", "only " + " ".join(interfaces) if interfaces == ["lo"] else " ".join(interfaces))
    row("root", "read-only" if read_only else "writable")
    shown = ", ".join(f"{name} {value}" for name, value in cgroup.items())
    row("limits", shown or "no cgroup limits here: the guest watches memory and processes from inside")
    checks = {
        "the uid is root's": uid == "0",
        "there are capabilities": int(facts["CapEff"], 16) != 0 or int(facts["CapBnd"], 16) != 0,
        "privileges can be gained": facts["NoNewPrivs"].strip() != "1",
        "there is no seccomp filter": facts["Seccomp"].strip() != "2",
        "there is a network": interfaces != ["lo"],
        "the root can be written": not read_only,
    }
    wrong += [what for what, bad in checks.items() if bad]
    return wrong


def is_made(tools, words, package):
    listed = output([*words, str(tools / "jitbox"), "ls", "--json"])
    return any(box["name"] == package for box in json.loads(listed or "[]"))


def native(words, tool, line):
    """Warm starts of the tool that the shim stands in for."""
    if not output([*words, "sh", "-c", f"command -v {tool[0]}"]):
        return None
    argv = [*words, *tool, *line]
    try:
        start_ms(argv)  # fills its cache
        return median(start_ms(argv) for _ in range(WARM_RUNS))
    except Failed as e:
        print(f"  native {tool[0]} does not run it here: {str(e).splitlines()[-1]}")
        return None


def show(tools, engine, memory, server):
    """Shows one server; returns what is wrong."""
    shim, line, tool, (call, arguments) = server
    package = line[-1]
    argv = [*engine.words, str(tools / shim), *line]
    print(f"\n{shim} {' '.join(line)}", flush=True)
    if not is_made(tools, engine.words, package):
        memory[package] = start_ms(argv)
    warm = median([start_ms(argv) for _ in range(WARM_RUNS)])
    with Server(argv) as running:
        info = running.initialize()
        listed = [tool["name"] for tool in running.request("tools/list")["tools"]]
        answer = running.request("tools/call", {"name": call, "arguments": arguments})
        text = " ".join(part.get("text", "") for part in answer["content"]).strip()
        row("server", f"{info['name']} {info.get('version', '')}")
        row("tools", f"{len(listed)}: {', '.join(listed)}")
        row(call, " ".join(text.split())[:160])
        init, name = engine.init_of(running.child.pid)
        wrong = [] if text and not answer.get("isError") else [f"{call} did not answer"]
        if init and "jitbox" in Path(f"/proc/{init}/cmdline").read_bytes().decode(errors="replace"):
            wrong += confinement(program_in(init))
        else:
            row("confinement", "the engine has a kernel of its own: not to be seen from here")
        ended = time.perf_counter()
        code = running.close()
        gone = (time.perf_counter() - ended) * 1000
    row("end", f"exit code {code}, {ms(gone)} after the end of its input")
    if name in engine.ask("ps", "-a", "--format", "{{.Names}}").split():
        time.sleep(2)
        if name in engine.ask("ps", "-a", "--format", "{{.Names}}").split():
            wrong.append(f"{name} is still there")
    beside = native(engine.words, tool, line)
    cold = f"{memory[package] / 1000:.1f} s (when its box was made)" if package in memory else "its box was there already"
    row("cold start", cold)
    row("warm start", ms(warm) + (f", native {tool[0]} {ms(beside)}: {warm / beside:.2f} of it" if beside else ""))
    return [f"{shim}: {what}" for what in wrong]


def main():
    tools, name, *words = sys.argv[1:]
    tools = Path(tools)
    engine = Engine(name, words)
    version = engine.ask("version", "--format", "{{.Client.Version}}")
    print(f"{name} {version}" + (f", in {' '.join(words[1:3])}" if words else ""))
    past = tools / "try.json"
    memory = json.loads(past.read_text()) if past.exists() else {}
    key = " ".join([name, *words])
    wrong = []
    for server in SERVERS:
        try:
            wrong += show(tools, engine, memory.setdefault(key, {}), server)
        except (Failed, OSError, subprocess.TimeoutExpired) as e:
            wrong.append(f"{server[0]}: {e}")
    past.write_text(json.dumps(memory))
    print()
    for what in wrong:
        print(f"not as it should be: {what}")
    if not wrong:
        print("all of it works")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
