#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make demo: the whole story on a private hosteld, cleaned up at the end, whatever happens.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(cd "${1:-build}" && pwd)
cache=${HOSTEL_CACHE:-$build/cache}
tag=demo$$
work=$(mktemp -d /tmp/hostel-$tag.XXXXXX)
started=$(date +%s)
daemon=""

[ "$(id -u)" = 0 ] || { echo "demo: needs root (containers and bridges)" >&2; exit 1; }
mkdir -p "$cache" "$work"/{root,run}

# A capacity of our own, so that the queue fills on any machine.
memory=2800m
export HOSTEL_SOCKET=$work/run/hostel.sock
hostel=$build/hostel

settings=(--root "$work/root" --run "$work/run" --socket "$HOSTEL_SOCKET" --libexec "$build"
	--bridge "hd$$" --nft-table "hostel$tag" --cgroup-parent "/hostel-$tag" --memory-total $memory --manage-memory 640m --cpus-total 2)

start_daemon() {
	"$build/hosteld" "${settings[@]}" >> "$work/hosteld.log" 2>&1 &
	daemon=$!
	for _ in $(seq 100); do
		"$hostel" version >/dev/null 2>&1 && return 0
		kill -0 $daemon 2>/dev/null || break
		sleep 0.05
	done
	tail -n 20 "$work/hosteld.log" >&2
	echo "demo: hosteld did not start" >&2
	return 1
}

# What the demo must not leave: looked up by the names that only this run used.
leftovers() {
	local left=""
	pgrep -f "$work" | grep -vx $$ | while read -r p; do ps -o pid=,args= -p "$p" || true; done
	grep -o "[^ ]*$work[^ ]*" /proc/self/mountinfo || true
	find /sys/fs/cgroup -maxdepth 2 -name "hostel-$tag*" 2>/dev/null || true
	ip -o link show | grep -o " hd$$[^:@]*" || true
	nft list tables 2>/dev/null | grep "hostel$tag" || true
}

cleanup() {
	local code=$? left
	set +e
	trap - EXIT INT TERM
	if [ -n "$daemon" ] && kill -0 $daemon 2>/dev/null; then
		ids=$("$hostel" ps -aq 2>/dev/null)
		[ -z "$ids" ] || "$hostel" rm -f -v $ids >/dev/null 2>&1
		kill $daemon
		wait $daemon 2>/dev/null
	fi
	"$build/hosteld" "${settings[@]}" --teardown || code=1
	[ $code = 0 ] || { echo "--- hosteld's log"; tail -n 20 "$work/hosteld.log"; }
	rm -rf --one-file-system "$work"
	left=$(leftovers)
	if [ -n "$left" ]; then
		echo "left behind: $left"
		[ $code != 0 ] || code=1
	elif [ $code = 0 ]; then
		step "Cleaned up: no process, mount, cgroup, interface, table or file of the demo is left"
	fi
	[ $code = 0 ] && echo "demo: done in $(($(date +%s) - started)) s"
	exit $code
}
trap cleanup EXIT
trap 'exit 130' INT TERM

step() {
	printf '\n\033[1m== %s\033[0m\n' "$*"
}

# Show the command, then run it.
run() {
	printf '$ %s\n' "${*//$hostel/hostel}"
	"$@"
}

# run, with the time it took.
timed() {
	local t0 t1
	printf '$ %s\n' "${*//$hostel/hostel}"
	t0=$(date +%s%N)
	"$@"
	t1=$(date +%s%N)
	printf '  (%d ms)\n' $(((t1 - t0) / 1000000))
}

step "Two images: Debian's busybox-static, and a Debian minbase"
[ -s "$cache/busybox.tar" ] || tools/mkimage.sh busybox "$cache/busybox.tar" > /dev/null
[ -s "$cache/debian.tar" ] || tools/mkimage.sh debian "$cache/debian.tar" > /dev/null
start_daemon
run "$hostel" load -i "$cache/busybox.tar"
run "$hostel" load -i "$cache/debian.tar"
run "$hostel" tag debian:12 ubuntu
kernel=$(tools/fetch.sh kernel "$cache")
run "$hostel" kernel add "$kernel"
run "$hostel" images

step "Each as a container and as a VM: the same image, two kernels (the first VM of an image packs it)"
for image in busybox debian:12; do
	timed "$hostel" run --rm $image uname -r
	timed "$hostel" run --rm --vm $image uname -r
done

step "A VM my_vm of 1024 MiB and 2 vcpus"
run "$hostel" vm create my_vm --memory 1024 --vcpus 2
run "$hostel" start my_vm
run "$hostel" exec my_vm sh -c 'echo "in $(uname -n): $(nproc) cpus, $(grep MemTotal /proc/meminfo)"' ||
	run "$hostel" exec my_vm /bin/hostel-guest --help
run "$hostel" stop my_vm

step "A container of an image tagged ubuntu with command /bin/bash"
run "$hostel" create --name my_container -i ubuntu /bin/bash
run "$hostel" start my_container
run "$hostel" exec my_container /bin/bash -c 'echo "bash $BASH_VERSION in $(hostname)"'
run "$hostel" stop -t 1 my_container

step "Twelve instances that want three times the memory ($memory set for this demo), half of each kind"
run "$hostel" resources
# Each from a client of its own, as twelve people would: one that is admitted returns when it runs, the others at once.
submit() {
	local name=$1
	shift
	{ "$hostel" run -d --name "$name" -m 512m "$@" 2>&1 > /dev/null || echo "failed"; } | sed -u "s/^/$name /" &
	submitted="$submitted $!"
	for _ in $(seq 100); do
		"$hostel" inspect "$name" > /dev/null 2>&1 && return 0
		sleep 0.02
	done
}
submitted=""
for i in 1 2 3 4 5 6; do
	submit c$i busybox sh -c 'sleep 3'
	submit v$i --vm busybox sh -c 'sleep 1'
done
for _ in $(seq 100); do
	[ "$("$hostel" queue -q | wc -l)" -gt 0 ] && break
	sleep 0.05
done
run "$hostel" queue
step "Meanwhile something small answers at once"
timed "$hostel" run --rm busybox echo hi
for _ in $(seq 200); do
	waiting=$("$hostel" queue -q | wc -l)
	running=$("$hostel" ps -q | wc -l)
	if [ "$waiting $running" != "${last:-}" ]; then
		printf '  %2d waiting, %2d admitted: %s\n' "$waiting" "$((running - waiting))" \
			"$("$hostel" queue --format '{{.Name}}: {{.Reason}}' | head -n 1)"
		last="$waiting $running"
	fi
	[ "$running" = 0 ] && break
	sleep 0.3
done
[ "$running" = 0 ] || { echo "demo: the queue did not drain" >&2; exit 1; }
for pid in $submitted; do
	wait "$pid"
done

step "kill -9 of the daemon: nothing notices"
run "$hostel" run -d --name counter busybox sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done' > /dev/null
run "$hostel" run -d --name vcounter --vm busybox sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done' > /dev/null
before=$("$hostel" inspect --format '{{.State.Pid}}' counter vcounter | tr '\n' ' ')
kill -9 $daemon
wait $daemon 2>/dev/null || true
sleep 1
start_daemon
after=$("$hostel" inspect --format '{{.State.Pid}}' counter vcounter | tr '\n' ' ')
run "$hostel" ps
for n in counter vcounter; do
	"$hostel" logs $n > "$work/log"
	seq "$(wc -l < "$work/log")" | cmp -s - <(tr -d '\r' < "$work/log") || { echo "demo: the log of $n has a hole" >&2; exit 1; }
	echo "  $n counted to $(tail -n 1 "$work/log" | tr -d '\r') without a gap"
done
[ "$before" = "$after" ] || { echo "demo: processes changed: $before / $after" >&2; exit 1; }
run "$hostel" rm -f counter vcounter

step "What it all took: R, T and M"
run "$hostel" resources
run "$hostel" accounting
