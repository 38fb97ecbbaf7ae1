# SPDX-License-Identifier: Apache-2.0
# Limits of containers on a host with cgroup v2 alone. Run by tests/rig/rig.

# group NAME: the folder of its group
group() {
	echo /sys/fs/cgroup/hostel/$(hostel inspect -f '{{.Id}}' $1)
}

t_the_host_is_seen_as_v2() {
	has "$(hostel info --format json | tr -d ' ')" '"cgroup_version":2'
}

t_a_container_runs() {
	is output hi "$(hostel run --rm busybox echo hi)"
}

t_limits_are_written() {
	hostel run -d --name one -m 64m --memory-swap 96m --memory-reservation 32m --cpus 0.5 --cpu-shares 2048 \
		--pids-limit 20 --cpuset-cpus 1 --cpuset-mems 0 busybox sleep 1000
	g=$(group one)
	is memory.max $((64 << 20)) "$(cat $g/memory.max)"
	[ ! -e $g/memory.swap.max ] || is memory.swap.max $((32 << 20)) "$(cat $g/memory.swap.max)"
	is memory.low $((32 << 20)) "$(cat $g/memory.low)"
	is cpu.max '50000 100000' "$(cat $g/cpu.max)"
	is cpu.weight 200 "$(cat $g/cpu.weight)"
	is pids.max 20 "$(cat $g/pids.max)"
	is cpuset.cpus 1 "$(cat $g/cpuset.cpus)"
	is cpuset.mems 0 "$(cat $g/cpuset.mems)"
	is 'cpus inside' 1 "$(hostel exec one nproc)"
}

t_limits_are_seen_inside() {
	is memory.max $((64 << 20)) "$(hostel run --rm -m 64m busybox cat /sys/fs/cgroup/memory.max)"
	is group 0::/ "$(hostel run --rm busybox cat /proc/self/cgroup)"
}

t_a_privileged_one_sees_its_own_group_too() {
	is memory.max $((64 << 20)) "$(hostel run --rm --privileged -m 64m busybox cat /sys/fs/cgroup/memory.max)"
}

t_the_cgroup_is_read_only_inside() {
	has "$(hostel run --rm -m 64m busybox sh -c 'echo max >/sys/fs/cgroup/memory.max' 2>&1)" 'Read-only file system'
}

t_pids_are_limited() {
	has "$(hostel run --rm --pids-limit 8 busybox sh -c 'for i in $(seq 20); do sleep 3 & done; wait' 2>&1)" fork
}

t_cpu_is_limited() {
	hostel run -d --name one --cpus 0.2 busybox sh -c 'while :; do :; done'
	g=$(group one)
	sleep 4
	u=$(sed -n 's/^usage_usec //p' $g/cpu.stat)
	t=$(sed -n 's/^nr_throttled //p' $g/cpu.stat)
	[ $t -gt 5 ]
	[ $u -lt 2500000 ]
}

t_a_kill_for_memory_is_told_with_the_limit() {
	said=$(hostel run --name one -m 24m busybox tail /dev/zero 2>&1) && code=0 || code=$?
	is code 137 $code
	has "$said" 'killed tail (main process) at the limit of 24 MiB'
	is OOMKilled true "$(hostel inspect -f '{{.State.OOMKilled}}' one)"
}

t_a_kill_by_hand_is_not() {
	hostel run -d --name one -m 24m busybox sleep 1000
	hostel kill one
	hostel wait one
	is OOMKilled false "$(hostel inspect -f '{{.State.OOMKilled}}' one)"
	is code 137 "$(hostel inspect -f '{{.State.ExitCode}}' one)"
}

t_a_child_killed_for_memory_is_an_event() {
	hostel run -d --name one -m 24m busybox sh -c 'tail /dev/zero; echo code $?; sleep 1000'
	until_ok 60 sh -c 'hostel logs one | grep "code 137"'
	is running true "$(hostel inspect -f '{{.State.Running}}' one)"
	has "$(hostel events --since 0 --until $(date +%s))" oom
}

t_stats_count() {
	hostel run -d --name one -m 64m --pids-limit 20 busybox sh -c 'sleep 1000 & i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; wait'
	until_ok 60 sh -c '[ $(cat /sys/fs/cgroup/hostel/*/pids.current) = 2 ]'
	curl_stats=$(hostel stats --no-stream --format json one)
	has "$curl_stats" 67108864
	echo "$curl_stats"
}

t_pause_stops_and_unpause_goes_on() {
	hostel run -d --name one busybox sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done'
	until_ok 30 sh -c '[ -n "$(hostel logs one)" ]'
	hostel pause one
	g=$(group one)
	is cgroup.freeze 1 "$(cat $g/cgroup.freeze)"
	has "$(cat $g/cgroup.events)" 'frozen 1'
	sleep 1
	n=$(hostel logs one | wc -l)
	sleep 2
	is lines $n "$(hostel logs one | wc -l)"
	hostel unpause one
	is cgroup.freeze 0 "$(cat $g/cgroup.freeze)"
	until_ok 30 sh -c "[ \$(hostel logs one | wc -l) -gt $n ]"
}

t_a_paused_one_is_removed_by_force() {
	hostel run -d --name one busybox sleep 1000
	hostel pause one
	g=$(group one)
	hostel rm -f one
	[ ! -e $g ]
}

t_exec_is_in_the_group() {
	hostel run -d --name one --pids-limit 20 busybox sleep 1000
	hostel exec -d one sleep 1001
	until_ok 30 sh -c "[ \$(cat $(group one)/pids.current) = 2 ]"
	is pids.max 20 "$(hostel exec one cat /sys/fs/cgroup/pids.max)"
}

t_update_writes_the_new_limits() {
	hostel run -d --name one -m 64m --cpus 0.5 busybox sleep 1000
	hostel update -m 128m --memory-swap 256m --cpus 1 --pids-limit 30 --cpuset-cpus 0 one
	g=$(group one)
	is memory.max $((128 << 20)) "$(cat $g/memory.max)"
	is cpu.max '100000 100000' "$(cat $g/cpu.max)"
	is pids.max 30 "$(cat $g/pids.max)"
	is cpuset.cpus 0 "$(cat $g/cpuset.cpus)"
}

t_device_rules_hold() {
	hostel run --rm busybox sh -c 'echo x >/dev/null; mknod /tmp/null c 1 3; echo x >/tmp/null'
	has "$(hostel run --rm busybox sh -c 'mknod /tmp/d b 254 0; head -c 1 /tmp/d' 2>&1)" 'not permitted'
	hostel run --rm --device /dev/vda:/dev/vda:r busybox sh -c 'head -c 1 /dev/vda >/dev/null; ! echo >/dev/vda'
}

t_disk_speed_is_limited() {
	hostel run -d --name one --device-write-bps /dev/vdb:1mb busybox sh -c \
		'a=$(date +%s); dd if=/dev/zero of=/f bs=64k count=96 conv=fsync; b=$(date +%s); echo took $((b-a)); sleep 1000'
	n=$(cat /sys/block/vdb/dev)
	has "$(cat $(group one)/io.max)" "$n rbps=max wbps=1048576"
	until_ok 60 sh -c 'hostel logs one | grep took'
	[ $(hostel logs one | sed -n 's/took //p') -ge 4 ]
}

t_the_bridge_works() {
	a=$(hostel run --rm busybox ip route | sed -n 's/default via \([0-9.]*\).*/\1/p')
	hostel run --rm busybox ping -c 1 -W 5 $a
}

t_a_killed_shim_takes_its_instance_along() {
	hostel run -d --name one busybox sleep 1000
	g=$(group one)
	id=$(hostel inspect -f '{{.Id}}' one)
	kill -9 $(ps -o pid,args | awk "/hostel-[s]him.*$id/ { print \$1 }")
	until_ok 30 sh -c '[ "$(hostel inspect -f "{{.State.ExitCode}}" one)" = 137 ]'
	until_ok 30 [ ! -e $g ]
}

t_a_killed_daemon_finds_its_instances() {
	hostel run -d --name one -m 64m busybox sleep 1000
	kill -9 $hosteld_pid
	start_hosteld
	is running true "$(hostel inspect -f '{{.State.Running}}' one)"
	is output in "$(hostel exec one echo in)"
	hostel stop -t 0 one
}

# used NAME: cpu time of its group in us
used() {
	sed -n 's/^usage_usec //p' $(group $1)/cpu.stat
}

# runs_again NAME: it gets cpu time from now on
runs_again() {
	before=$(used $1)
	until_ok 120 sh -c "[ \$(sed -n 's/^usage_usec //p' $(group $1)/cpu.stat) -gt $((before + 200000)) ]"
}

# Each of the two wants all cpus of this machine.
two_busy() {
	for name in one two; do
		hostel run -d --name $name --cpus 2 busybox sh -c 'while :; do :; done & while :; do :; done'
	done
}

t_two_take_turns_under_rr() {
	hostel policy set --schedule rr --quantum 50ms
	two_busy
	for turn in 1 2 3; do
		for name in one two; do
			until_ok 120 grep 'frozen 1' $(group $name)/cgroup.events
			until_ok 120 grep 'frozen 0' $(group $name)/cgroup.events
			runs_again $name
		done
	done
	is output in "$(hostel exec one echo in)"
	hostel policy set --schedule fair
	for name in one two; do
		until_ok 120 grep 'frozen 0' $(group $name)/cgroup.events
		runs_again $name
	done
}

t_the_first_runs_alone_under_fcfs() {
	two_busy
	hostel policy set --schedule fcfs
	until_ok 120 grep 'frozen 1' $(group two)/cgroup.events
	stood=$(used two)
	runs_again one
	is 'time of the frozen one' $stood "$(used two)"
	hostel kill one
	until_ok 120 grep 'frozen 0' $(group two)/cgroup.events
	runs_again two
	hostel policy set --schedule fair
}

t_nothing_is_left() {
	hostel run --rm -m 64m busybox true
	hostel run --rm busybox true
	until_ok 10 sh -c '! ls -d /sys/fs/cgroup/hostel/*/'
	until_ok 10 sh -c '! ps -o args | grep "[h]ostel-shim"'
	is 'mounts left' '' "$(grep '/hostel/' /proc/self/mountinfo | cut -d' ' -f5)"
}
