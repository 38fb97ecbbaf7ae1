#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# criu.sh: make sure that there is a CRIU that can checkpoint containers here; prints its path.
#
# Debian 12 has none, and what is older than 4.2 cannot read sockets on Linux 6.16 and later. Where none is installed that will do,
# Debian sid's source is fetched from the mirror that apt uses, checked, built (a minute) and installed as /usr/local/sbin/criu.
# HOSTEL_CACHE, or build/cache, keeps source and program, so that nothing is fetched or built twice.
set -eu
version=4.2.1
sha256=29ec0ee09e296479fe7048c80980e8ef1d0684d0b0204c2b101dfea19f6725b9
target=/usr/local/sbin/criu

die() {
	echo "criu.sh: $*" >&2
	exit 1
}

# new_enough PROGRAM: does it run, and is it 4.2 or later?
new_enough() {
	[ -x "$1" ] || return 1
	have=$("$1" --version 2>/dev/null | sed -n 's/^Version: *\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
	[ -n "$have" ] || return 1
	[ "${have% *}" -gt 4 ] || { [ "${have% *}" -eq 4 ] && [ "${have#* }" -ge 2 ]; }
}

for p in "$target" /usr/sbin/criu /usr/local/bin/criu /usr/bin/criu; do
	new_enough "$p" && echo "$p" && exit 0
done
[ "$(id -u)" = 0 ] || die "no CRIU of 4.2 or later; run me as root"

cache=${HOSTEL_CACHE:-$(cd "$(dirname "$0")/.." && pwd)/build/cache}
mkdir -p "$cache"
tarball=$cache/criu_$version.orig.tar.xz
built=$cache/criu-$version-$(uname -m)

checked() {
	echo "$sha256  $tarball" | sha256sum -c --quiet >/dev/null 2>&1
}

fetch() {
	checked && return 0
	apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -q . || apt-get -qq update >/dev/null
	for mirror in $(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | sort -u); do
		/usr/lib/apt/apt-helper download-file "$mirror/pool/main/c/criu/criu_$version.orig.tar.xz" "$tarball.new" \
			"SHA256:$sha256" >/dev/null 2>&1 && mv "$tarball.new" "$tarball" && checked && return 0
	done
	rm -f "$tarball.new"
	die "no mirror of apt's has criu_$version.orig.tar.xz with the checksum $sha256"
}

# Without CAP_SYS_RESOURCE a pipe may have 1 MiB (fs.pipe-max-size). CRIU asks for three times that and goes on without it, which breaks
# lazy pages: the limit becomes what every pipe may have.
allow_small_pipes() {
	file=$1/criu/include/page-pipe.h
	sed -i 's|^#define PIPE_MAX_SIZE .*|#define PIPE_MAX_SIZE (1048576 / PAGE_SIZE)|' "$file"
	[ "$(grep -c '^#define PIPE_MAX_SIZE (1048576 / PAGE_SIZE)$' "$file")" = 1 ] || die "$file is not as expected"
}

build() {
	new_enough "$built" && return 0
	fetch
	tmp=$(mktemp -d "$cache/criu.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	tar -xf "$tarball" -C "$tmp" --strip-components=1
	allow_small_pipes "$tmp"
	make -C "$tmp" -j"$(nproc)" criu > "$tmp/log" 2>&1 || {
		cp "$tmp/log" "$cache/criu.log"
		tail -n 20 "$tmp/log" >&2
		die "the build failed, see $cache/criu.log"
	}
	strip "$tmp/criu/criu"
	mv "$tmp/criu/criu" "$built"
	new_enough "$built" || die "what was built does not run"
}

build
install -D -m 755 "$built" "$target"
new_enough "$target" || die "$target does not run"
echo "$target"
