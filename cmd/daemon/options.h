/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_DAEMON_OPTIONS_H
#define CMD_DAEMON_OPTIONS_H

/*
 * hosteld's settings: one table says name on the command line, name in
 * /etc/hostel/hosteld.json, kind, default, help; parser, --help, --check-config and
 * `hostel config show` read it.
 */

#include <stdbool.h>

#include "engine/engine.h"

struct options {
	struct engine_config engine; /* strings borrowed from the settings */
	char *root, *run, *socket, *libexec, *bridge, *subnet, *cgroup_parent, *nft_table;
	char *registry_certs, *registry_insecure, *registry_mirror, *migrate_listen;
	char *config_path, *log_level, *group, *allocate, *schedule;
	int64_t memory_total_bytes, cpus_total_milli, disk_total_bytes, event_log_bytes;
	int64_t reserve_memory_bytes, manage_memory_bytes, overcommit_cpu_milli, hold_timeout_ns,
	    max_wait_ns, quantum_ns, age_ns, boost_ns, turn_ns;
	int queue_wait, spill; /* bool */
	bool check_config, help, version, kvm_probe, teardown;
	unsigned char source[64]; /* enum options_source of each setting */
};

/**
 * options_read() - command line over configuration file over defaults
 * Return: NULL; ERR_INVALID naming file or option, and what is wrong with it.
 */
struct err *options_read(struct options *o, int argc, char **argv) MUST_USE;
void options_done(struct options *o);

/** options_shown() - array of {"name","value","source"}; new reference */
json_t *options_shown(const struct options *o);

/** options_help() - the text of --help on stdout */
void options_help(void);

#endif
