#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch.sh WHAT DIR: bring a Debian package's files into DIR without installing it; prints what was asked for.
#
#   kernel      DIR/kernel.deb: Debian's cloud kernel of this release; prints its path
#   docker      dockerd, containerd, runc and the docker CLI of this release; prints the folder of the programs
#   docker-cli  the docker CLI of Debian sid (statically linked Go: runs here); prints its path
#   compose     docker compose v2 of Debian sid (the same); prints the program's path
#
# What is there already is not fetched again.
set -eu
what=${1:?usage: fetch.sh kernel|docker|docker-cli|compose DIR}
dir=${2:?usage: fetch.sh kernel|docker|docker-cli DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
tmp=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"

die() {
	echo "fetch: $*" >&2
	exit 1
}

# download APT-OPTIONS... PACKAGE: its .deb into $tmp
download() {
	(cd "$tmp" && apt-get -qq "$@" >/dev/null 2>"$tmp/err") || die "$(tail -n 1 "$tmp/err")"
}

indexes_there() {
	apt-cache show busybox-static >/dev/null 2>&1 || apt-get -qq update >/dev/null
}

kernel() {
	[ -s "$dir/kernel.deb" ] && return 0
	indexes_there
	real=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
	[ -n "$real" ] || die "Debian's cloud kernel is not in the package lists"
	download download "$real"
	mv "$tmp"/linux-image-*.deb "$dir/kernel.deb"
}

docker() {
	[ -x "$dir/docker/usr/sbin/dockerd" ] && return 0
	indexes_there
	for p in docker.io containerd runc; do
		download download "$p"
	done
	mkdir "$tmp/root"
	for deb in "$tmp"/*.deb; do
		dpkg-deb -x "$deb" "$tmp/root"
	done
	rm -rf "$dir/docker"
	mv "$tmp/root" "$dir/docker"
}

# from_sid PACKAGE: unpacked into DIR/PACKAGE.  The same mirror, another release, its own lists: nothing of the
# machine's apt changes.
from_sid() {
	[ -d "$dir/$1/usr" ] && return 0
	mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)
	key=$(ls /usr/share/keyrings/debian-archive-keyring.gpg)
	mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial" "$tmp/root"
	echo "deb [signed-by=$key] $mirror sid main" > "$tmp/sources.list"
	opts="-o Dir::Etc::SourceList=$tmp/sources.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$tmp/lists -o Dir::Cache=$tmp/cache -o APT::Sandbox::User=root -o Acquire::Languages=none"
	download $opts update
	download $opts download "$1"
	dpkg-deb -x "$tmp/$1"_*.deb "$tmp/root"
	rm -rf "${dir:?}/$1"
	mv "$tmp/root" "$dir/$1"
}

case $what in
kernel) kernel && echo "$dir/kernel.deb" ;;
docker) docker && echo "$dir/docker/usr" ;;
docker-cli) from_sid docker-cli && echo "$dir/docker-cli/usr/bin/docker" ;;
compose)
	from_sid docker-compose
	for p in "$dir"/docker-compose/usr/libexec/docker/cli-plugins/docker-compose "$dir"/docker-compose/usr/bin/docker-compose; do
		[ -x "$p" ] && echo "$p" && exit 0
	done
	die "Debian's docker-compose has no program where it is looked for"
	;;
*) die "nothing called $what; there are kernel, docker, docker-cli and compose" ;;
esac
