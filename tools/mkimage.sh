#!/usr/bin/env bash
# Make a small image as a docker-archive ("docker save" form), for tests and the demo.
#   mkimage.sh busybox OUT.tar [REF]          from Debian's busybox-static; REF: busybox:latest
#   mkimage.sh debian  OUT.tar [REF] [CACHE]  from debootstrap minbase; REF: debian:12
# CACHE is a folder that keeps minbase.tar between calls (default: beside OUT.tar).
set -euo pipefail
umask 022

kind=${1:?busybox or debian} out=$(realpath -m "${2:?output file}") ref=${3:-} cache=${4:-}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mkimage.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$(dirname "$out")"

busybox_layer() {
	local root=$tmp/root name
	mkdir -p "$root"/{bin,sbin,etc,dev,proc,sys,tmp,root,var/run,usr/bin,usr/sbin,home}
	chmod 1777 "$root/tmp"
	chmod 700 "$root/root"
	cp "$(command -v busybox)" "$root/bin/busybox"
	for name in $("$root/bin/busybox" --list); do
		[ "$name" = busybox ] || ln -s /bin/busybox "$root/bin/$name"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\ndaemon:x:1:\naudio:x:29:\nnogroup:x:65534:\n' >"$root/etc/group"
	tar -C "$root" --sort=name --numeric-owner --owner=0 --group=0 --mtime=@1700000000 -cf "$tmp/layer.tar" .
}

debian_layer() {
	cache=${cache:-$(dirname "$out")}
	if [ ! -s "$cache/minbase.tar" ]; then
		mkdir -p "$cache"
		debootstrap --variant=minbase bookworm "$tmp/root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$cache/debootstrap.log" 2>&1 ||
			{ tail -3 "$cache/debootstrap.log" >&2; exit 1; }
		rm -rf "$tmp/root"/var/cache/apt/archives/*.deb "$tmp/root"/var/lib/apt/lists/* "$tmp/root"/usr/share/{doc,man,locale}/*
		tar -C "$tmp/root" --one-file-system --sort=name --numeric-owner -cf "$cache/minbase.tar.$$" .
		mv "$cache/minbase.tar.$$" "$cache/minbase.tar"
	fi
	cp --reflink=auto "$cache/minbase.tar" "$tmp/layer.tar"
}

case $kind in
busybox) ref=${ref:-busybox:latest} cmd='"sh"'; busybox_layer ;;
debian) ref=${ref:-debian:12} cmd='"bash"'; debian_layer ;;
*) echo "mkimage: busybox or debian, not $kind" >&2; exit 2 ;;
esac

diff=$(sha256sum "$tmp/layer.tar" | cut -d' ' -f1)
cat >"$tmp/config.json" <<EOF
{"architecture":"$(dpkg --print-architecture)","os":"linux","created":"2023-11-14T22:13:20Z","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":[$cmd]},"rootfs":{"type":"layers","diff_ids":["sha256:$diff"]},"history":[{"created":"2023-11-14T22:13:20Z","created_by":"tools/mkimage.sh $kind"}]}
EOF
id=$(sha256sum "$tmp/config.json" | cut -d' ' -f1)
mv "$tmp/config.json" "$tmp/$id.json"
mkdir "$tmp/$diff"
mv "$tmp/layer.tar" "$tmp/$diff/layer.tar"
printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["%s/layer.tar"]}]\n' "$id" "$ref" "$diff" >"$tmp/manifest.json"
tar -C "$tmp" --numeric-owner --owner=0 --group=0 -cf "$out.$$" manifest.json "$id.json" "$diff"
mv "$out.$$" "$out"
