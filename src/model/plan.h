/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PLAN_H
#define MODEL_PLAN_H

/*
 * Plan: all that the engine decided for one start, as printable data: the file
 * instances/ID/plan.json, written by the daemon before the shim starts, read by the
 * shim's children (never by the shim itself), by undo and by recovery.
 *
 * It has a host half (cgroup, links, disks) and a guest half (process, mounts,
 * rlimits, masks).  For a container both are applied on the host; for an image VM
 * hostel-guest applies the guest half inside.
 *
 *	{
 *	  "version": 1,
 *	  "id": "64 hex digits", "name": "web", "kind": "container" | "vm" | "machine",
 *	  "state_dir": "/var/lib/hostel/instances/ID",
 *	  "run_dir": "/run/hostel/instances/ID",
 *	  "run": { the engine's row of it },   for recovery, when the store was lost
 *	  "host": {
 *	    "criu": "/usr/local/sbin/criu",      container: absent: where it is usually installed
 *	    "cgroup": "/hostel/ID",              path below every controller's mount point
 *	    "rootfs": {
 *	      "lower": ["/…/layers/sha256/HEX/fs", …],   topmost layer first
 *	      "upper": "/…/instances/ID/rw/upper", "work": "/…/instances/ID/rw/work",
 *	      "disk": "/…/instances/ID/rw.img",  sparse ext4 that holds upper and work (its folders
 *	                                         "upper" and "work"), absent without a disk limit
 *	                                         (containers); always there for image VMs
 *	      "disk_bytes": 0,                   its size; with "project" the quota
 *	      "disk_template": "/…/images/empty.ext4",   image VM: such a disk, to be copied; made
 *	                                         when missing.  Only for the size that is usual
 *	      "transient": false,                image VM: it goes with its end, so nothing of
 *	                                         "disk" need outlive a crash of the host
 *	      "project": 268435457,              number that the upper's files are counted under: a
 *	                                         project quota in place of "disk"
 *	      "erofs": "/…/images/HEX.erofs",    image VM: read-only root
 *	      "readonly": false
 *	    },
 *	    "net": {
 *	      "mode": "bridge" | "none" | "host" | "container",
 *	      "join": "/proc/PID/ns/net",        mode container
 *	      "bridge": "hostel0", "ifname": "eth0", "host_ifname": "hv1a2b3c4d5e",
 *	      "mac": "02:42:…", "address": "10.88.0.5/16", "gateway": "10.88.0.1", "mtu": 1500,
 *	      "egress_bps": 0, "ingress_bps": 0,  bits per second, 0: no limit
 *	      "more": [ { bridge, ifname, host_ifname, mac, address, mtu, … } ]   further links of a
 *	                                          container, "eth1" and so on; one link at most has
 *	                                          a "gateway"
 *	    },
 *	    "resources": { OCI linux.resources },  limits of the cgroup; of a VM those of its
 *	                                           monitor (R_i + M_i)
 *	    "vm": {                            VMs only
 *	      "accel": "tcg" | "kvm", "machine": "q35" | "microvm",
 *	      "qemu": "/usr/bin/qemu-system-x86_64",
 *	      "vcpus": 1, "memory_bytes": 536870912,
 *	      "kernel": "…", "initrd": "…", "append": "…",
 *	      "firmware": "bios" | "uefi",
 *	      "firmware_code": "…",            OVMF; firmware uefi
 *	      "firmware_template": "…",        its empty variables …
 *	      "firmware_vars": "…",            … and the instance's own, made when missing
 *	      "disks": [ { "path": "…", "format": "raw" | "qcow2", "readonly": false,
 *	                   "backing": "…", "backing_format": "…",   path is an overlay on it
 *	                   "new_bytes": 0 } ], size of a disk that does not exist yet
 *	      "agent": true,                   hostel-guest runs inside
 *	      "tsc_khz": 2400000, "boot_timeout_ms": 60000,
 *	      "complete": true                 set in the starter's copy, which has what the
 *	                                       engine left out (qemu/plan.h); never in the file
 *	    }
 *	  },
 *	  "guest": {
 *	    "oci": { OCI runtime config.json, complete for a container; process.user is filled
 *	             from "user" by whoever starts the process },
 *	    "user": "app:staff",                 text of -u, "" is root
 *	    "groups": ["audio"],                 text of --group-add
 *	    "seccomp_bpf": "/…/seccomp/HEX.bpf", absent: no filter
 *	    "files": [ { "path": "/etc/hosts", "mode": 420, "content": "…" } ],   image VM only; a
 *	                                         container has bind mounts in "oci"
 *	    "net": { as host.net: address, gateway, mac, ifname }   image VM and agent-only machine
 *	  }
 *	}
 *
 * Members that do not apply are absent.  Whoever reads an unknown version refuses.
 */

#define PLAN_VERSION 1

#endif
