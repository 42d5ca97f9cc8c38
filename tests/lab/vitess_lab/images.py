# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's images, pulled from a registry or built here under the same names."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from . import binaries, places, root_file_systems, versions
from .console import LabError, output, run, say

CONTEXTS = places.LAB / "image"
BUILT_NODE_IMAGE = "vtops-lab/node"
REGISTRY_PROBE_S = 15
VITESS_IMAGES = {f"vitess/lite:v{version}": version for version in versions.VITESS}


def choose_source(asked: str | None) -> str:
    """What was asked for, else what is built already, else a registry where one answers in time."""
    if asked:
        return asked
    if any(places.BINARIES.glob("vitess-*")):
        return "build"
    if any(places.IMAGES.glob("pulled-*")):
        return "pull"
    with contextlib.suppress(LabError):
        probe = run(["docker", "manifest", "inspect", versions.MYSQL_IMAGE], check=False, timeout=REGISTRY_PROBE_S)
        if probe.returncode == 0:
            return "pull"
    say("no image registry answers: building the images")
    return "build"


def node_image(source: str) -> str:
    """The nodes' image, known to Docker."""
    if source == "pull":
        run(["docker", "pull", "--quiet", versions.PULLED_NODE_IMAGE], timeout=1800)
        return versions.PULLED_NODE_IMAGE
    key = places.fingerprint(CONTEXTS / "node", CONTEXTS / "control_plane", _base_key(), _node_versions())
    name = f"{BUILT_NODE_IMAGE}:v{versions.KUBERNETES}-{key}"
    if run(["docker", "image", "inspect", name], check=False).returncode == 0:
        return name
    tar = _saved(f"node-{key}", lambda unfinished: _build_node(name, unfinished))
    run(["docker", "load", "--quiet", "--input", tar])
    return name


def workload_tars(source: str) -> dict[str, Path]:
    """Image name -> tar, of all that runs in the fleet's Pods and does not come with a node."""
    if source == "pull":
        return {name: _pulled(name) for name in (versions.MYSQL_IMAGE, *VITESS_IMAGES)}
    tars = {versions.MYSQL_IMAGE: _mysql_tar()}
    for name, version in VITESS_IMAGES.items():
        key = places.fingerprint(CONTEXTS / "vitess", _base_key(), version)
        tars[name] = _saved(f"vitess-{version}-{key}", functools.partial(_build_vitess, name, version))
    return tars


def _pulled(name: str) -> Path:
    def pull(tar: Path) -> None:
        run(["docker", "pull", "--quiet", name], timeout=1800)
        run(["docker", "save", "--output", tar, name])

    return _saved(f"pulled-{name.replace('/', '_').replace(':', '_')}", pull)


def _mysql_tar() -> Path:
    base = root_file_systems.tar_of("mysql")

    def build(tar: Path) -> None:
        with _imported(base, "vtops-lab/mysql-base"), _context("mysql", {}) as context:
            _docker_build(context, versions.MYSQL_IMAGE)
            run(["docker", "save", "--output", tar, versions.MYSQL_IMAGE])
            run(["docker", "image", "rm", versions.MYSQL_IMAGE])

    return _saved(f"mysql-{places.fingerprint(CONTEXTS / 'mysql', base.name)}", build)


def _build_vitess(name: str, version: str, tar: Path) -> None:
    base = root_file_systems.tar_of("base")
    programs = {f"bin/{program}": binaries.vitess(version) / program for program in binaries.VITESS_PROGRAMS}
    with _imported(base, "vtops-lab/base"), _context("vitess", programs) as context:
        _docker_build(context, name)
        run(["docker", "save", "--output", tar, name])
        run(["docker", "image", "rm", name])


def _build_node(name: str, tar: Path) -> None:
    kubernetes = binaries.kubernetes()
    with places.work_folder() as folder:
        control_plane = folder / "control-plane.tar"
        names = _control_plane_names(kubernetes / "kubeadm")
        _save_control_plane(names, kubernetes, control_plane)
        files = {f"bin/{program}": kubernetes / program for program in binaries.NODE_PROGRAMS}
        files["control-plane.tar"] = control_plane
        pause = next(image for image in names if "/pause:" in image)
        with _imported(root_file_systems.tar_of("node"), "vtops-lab/node-base"), _context("node", files) as context:
            arguments = {"KUBERNETES_VERSION": f"v{versions.KUBERNETES}", "PAUSE_IMAGE": pause}
            _docker_build(context, name, arguments=arguments)
            run(["docker", "save", "--output", tar, name])


def forget() -> None:
    """Removes what the lab gave to a Docker that is not its own."""
    names = output(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"], check=False).split()
    ours = [name for name in names if name.startswith(f"{BUILT_NODE_IMAGE}:")]
    if ours:
        run(["docker", "image", "rm", *ours], check=False)


def etcd_tag() -> str:
    """Tells kubeadm which etcd flags to write: those of Debian's etcd."""
    version = output([binaries.etcd() / "etcd", "--version"]).splitlines()[0].split()[-1]
    return f"{version}-0"


def _control_plane_names(kubeadm: Path) -> list[str]:
    names = output([kubeadm, "config", "images", "list", "--kubernetes-version", f"v{versions.KUBERNETES}"]).split()
    return [f"{name.rpartition(':')[0]}:{etcd_tag()}" if "/etcd:" in name else name for name in names]


def _save_control_plane(names: list[str], kubernetes: Path, tar: Path) -> None:
    files = {f"bin/{program}": kubernetes / program for program in binaries.CONTROL_PLANE_PROGRAMS}
    files |= {f"bin/{program}": binaries.etcd() / program for program in ("etcd", "etcdctl")}
    files["bin/coredns"] = binaries.coredns()
    with _imported(root_file_systems.tar_of("base"), "vtops-lab/base"), _context("control_plane", files) as context:
        for name in names:
            target = next((target for target in ("coredns", "pause") if f"/{target}:" in name), "component")
            _docker_build(context, name, target=target)
        run(["docker", "save", "--output", tar, *names])
        run(["docker", "image", "rm", *names])


def _base_key() -> str:
    return places.fingerprint(*(f"{suite} {packages}" for suite, packages in root_file_systems.PACKAGES.values()))


def _node_versions() -> str:
    return f"{versions.KUBERNETES} {versions.COREDNS}"


def _saved(name: str, make: Callable[[Path], None]) -> Path:
    """The image's tar in the cache; a half-written one is never taken for it."""
    tar = places.IMAGES / f"{name}.tar"
    if not tar.exists():
        with places.work_folder() as folder:
            make(folder / tar.name)
            places.IMAGES.mkdir(parents=True, exist_ok=True)
            (folder / tar.name).rename(tar)
    return tar


@contextlib.contextmanager
def _imported(tar: Path, name: str) -> Iterator[None]:
    run(["docker", "import", tar, name])
    try:
        yield
    finally:
        # An image built on it keeps its layers.
        run(["docker", "image", "rm", "--no-prune", name], check=False)


@contextlib.contextmanager
def _context(name: str, files: dict[str, Path]) -> Iterator[Path]:
    """A build context: the files of image/NAME, and programs from the cache (linked, not copied)."""
    with places.work_folder() as folder:
        context = folder / name
        shutil.copytree(CONTEXTS / name, context)
        for place, source in files.items():
            (context / place).parent.mkdir(exist_ok=True)
            os.link(source, context / place)
        yield context


def _docker_build(context: Path, name: str, *, target: str = "", arguments: dict[str, str] | None = None) -> None:
    options = ["--target", target] if target else []
    for key, value in (arguments or {}).items():
        options += ["--build-arg", f"{key}={value}"]
    run(["docker", "build", "--quiet", "--network", "none", "--tag", name, *options, context], timeout=1800)
