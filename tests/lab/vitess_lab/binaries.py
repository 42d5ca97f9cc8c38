# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs built from Go modules, static and stripped, cached by version."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

from . import machine, places, versions
from .console import run, say

VITESS_PROGRAMS = ("vtgate", "vttablet", "vtctld", "vtctldclient", "vtorc", "mysqlctld")
CONTROL_PLANE_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
NODE_PROGRAMS = ("kubeadm", "kubelet", "kubectl")
BUILD_LIMIT_S = 3600


def vitess(version: str) -> Path:
    oldest_go = versions.VITESS_GO[version]
    module = (
        f"module vtops-lab-vitess\n\ngo {oldest_go}\n\nrequire vitess.io/vitess {versions.vitess_module(version)}\n"
    )
    packages = [f"vitess.io/vitess/go/cmd/{program}" for program in VITESS_PROGRAMS]
    return _cached(f"vitess-{version}", oldest_go, functools.partial(_build, module, packages, "-s -w"))


def kubernetes() -> Path:
    version = versions.KUBERNETES
    major, minor, _patch = version.split(".")
    stamps = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "0" * 40,
        "buildDate": "2026-01-01T00:00:00Z",
    }
    flags = "-s -w"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        flags += "".join(f" -X {package}.{name}={value}" for name, value in stamps.items())

    module = (places.LAB / "gomod" / "kubernetes.mod").read_text()
    packages = [f"k8s.io/kubernetes/cmd/{program}" for program in (*NODE_PROGRAMS, *CONTROL_PLANE_PROGRAMS)]
    return _cached(f"kubernetes-{version}", "1.24", functools.partial(_build, module, packages, flags))


def kind() -> Path:
    return _installed("sigs.k8s.io/kind", versions.KIND, "kind") / "kind"


def coredns() -> Path:
    return _installed("github.com/coredns/coredns", versions.COREDNS, "coredns") / "coredns"


def etcd() -> Path:
    """etcd and etcdctl from Debian's packages."""
    return _unpacked("etcd-debian", ["etcd-server", "etcd-client"]) / "usr" / "bin"


def drop_build_caches() -> None:
    """Go's module and build caches take 13 GB, and a finished build never needs them again."""
    places.remove_tree(places.GO)


def _installed(module: str, version: str, program: str) -> Path:
    def install(go: str, target: Path) -> None:
        _go(go, ["install", "-ldflags", "-s -w", f"{module}@v{version}"], cwd=target, GOBIN=str(target))

    return _cached(f"{program}-{version}", "1.24", install)


def _build(module: str, packages: list[str], flags: str, go: str, target: Path) -> None:
    """Builds other modules' programs from a module of our own that requires them: they cannot be installed by name."""
    with places.work_folder() as folder:
        (folder / "go.mod").write_text(module)
        _go(go, ["build", "-mod=mod", "-ldflags", flags, "-o", f"{target}/", *packages], cwd=folder)


def _cached(name: str, oldest_go: str, make: Callable[[str, Path], None]) -> Path:
    target = places.BINARIES / name
    if not target.exists():
        go = _go_program(oldest_go)
        say(f"building {name} from source")
        started = time.monotonic()
        with places.made_whole(target) as unfinished:
            make(go, unfinished)
        say(f"built {name} in {time.monotonic() - started:.0f} s")
    return target


def _go_program(oldest: str) -> str:
    """The Go that is there, else Debian's newest, in the cache: its stable suites have too old a one."""
    if machine.has_go(oldest):
        return "go"
    machine.need_debian_root(f"Go {oldest} or newer")
    toolchain = f"golang-{versions.DEBIAN_GO}"
    say(f"unpacking Debian's {toolchain}, for these builds only")
    packages = [f"{toolchain}-go", f"{toolchain}-src"]
    return str(_unpacked(toolchain, packages) / "usr" / "lib" / f"go-{versions.DEBIAN_GO}" / "bin" / "go")


def _unpacked(name: str, packages: list[str]) -> Path:
    """Debian packages' files, not installed."""
    target = places.BINARIES / name
    if not target.exists():
        with places.made_whole(target) as unfinished:
            run([places.LAB / "rootfs" / "unpack", versions.NEWEST_SUITE, unfinished, *packages])
    return target


def _go(go: str, arguments: list[str], *, cwd: Path, **more: str) -> None:
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false -modcacherw -trimpath",
        "GOMODCACHE": str(places.GO / "mod"),
        "GOCACHE": str(places.GO / "build"),
        **more,
    }
    run([go, *arguments], cwd=cwd, env=environment, timeout=BUILD_LIMIT_S)
