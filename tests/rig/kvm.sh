# SPDX-License-Identifier: Apache-2.0
# VMs on a host with KVM that works (nested SVM). Run by tests/rig/rig.

before() {
	modprobe kvm_amd
	chmod 600 /dev/kvm
}

t_a_device_for_root_alone_is_told_as_such() {
	until_ok 20 sh -c 'hostel info --format json | grep "root alone"'
	has "$(hostel info --format json | tr -d ' ')" '"kvm":false'
	# as udev has it in Debian
	chgrp 108 /dev/kvm
	chmod 660 /dev/kvm
	kill $hosteld_pid
	wait
	start_hosteld
}

t_kvm_is_found_usable() {
	until_ok 20 sh -c 'hostel info --format json | tr -d " " | grep "\"kvm\":true"'
	has "$(hostel info --format json)" 'full speed'
}

t_a_kernel_is_added() {
	hostel kernel add --name cloud --modules /lib/modules/$(uname -r) /boot/vmlinuz
}

t_an_image_runs_under_kvm() {
	hostel run -d --vm --name vm -m 256m busybox sh -c 'uname -r; sleep 1000'
	id=$(hostel inspect -f '{{.Id}}' vm)
	has "$(tr '\0' ' ' </proc/$(pidof qemu-system-x86_64)/cmdline)" '-accel kvm'
	until_ok 60 sh -c 'hostel logs vm | grep cloud'
	is output in "$(hostel exec vm echo in)"
	hostel stop -t 20 vm
	is code 137 "$(hostel inspect -f '{{.State.ExitCode}}' vm)"
}

t_exit_codes_come_out() {
	hostel run --rm --vm -m 256m busybox sh -c 'exit 42' && code=0 || code=$?
	is code 42 $code
	hostel run --rm --vm -m 256m busybox nosuch && code=0 || code=$?
	is code 127 $code
}

t_the_guest_sees_kvm_and_the_right_time() {
	said=$(hostel run --rm --vm -m 256m busybox sh -c 'grep -c hypervisor /proc/cpuinfo; date +%s')
	is hypervisor 1 "$(echo "$said" | head -n 1)"
	off=$(($(date +%s) - $(echo "$said" | tail -n 1)))
	[ $off -ge -5 ]
	[ $off -le 30 ]
}

t_limits_of_a_vm_are_its_cgroups() {
	hostel run -d --vm --name vm -m 256m --cpus 0.5 busybox sleep 1000
	g=/sys/fs/cgroup/hostel/$(hostel inspect -f '{{.Id}}' vm)
	[ $(cat $g/memory.max) -gt $((256 << 20)) ]
	is cpu.max '50000 100000' "$(cat $g/cpu.max)"
	hostel pause vm
	hostel unpause vm
	is output in "$(hostel exec vm echo in)"
}

t_a_container_reaches_a_vm() {
	hostel run -d --vm --name vm -m 256m busybox sh -c 'while :; do echo hello | nc -l -p 7 ; done'
	a=$(hostel inspect -f '{{.NetworkSettings.IPAddress}}' vm)
	until_ok 60 sh -c "hostel run --rm busybox nc -w 2 $a 7 </dev/null | grep hello"
}

t_nothing_is_left() {
	hostel run --rm --vm -m 256m busybox true
	until_ok 20 sh -c '! ls -d /sys/fs/cgroup/hostel/*/'
	until_ok 20 sh -c '! pidof qemu-system-x86_64 hostel-shim'
}
