/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKER_JOB_H
#define WORKER_JOB_H

/*
 * A job of hostel-image: one JSON object in, lines of JSON out, one result
 * (docs/protocols.md, "Worker jobs").  One process does one job, so a job may
 * enter namespaces, change its root, and leave tidying of memory to the end.
 *
 * To add a job: one file with a `struct err *job_x(struct job *, json_t **)`, its
 * prototype below, one line in jobs.c.
 */

#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"
#include "util/err.h"
#include "util/source.h"

struct job {
	const json_t *args; /* the job object */
	const char *root;   /* hostel's root folder, absolute */
	int out_fd;         /* lines of JSON */
	int data_fd;        /* bulk data in or out */
	char *tmp;          /* tmp/job-…, made by job_tmp(); removed at the end */
};

/*
 * @ret_done: what "done" is to hold, a new reference; untouched means {}
 * Context: blocks; may be killed at any moment.
 */
typedef struct err *(*job_fn)(struct job *j, json_t **ret_done);

struct job_type {
	const char *name;
	job_fn fn;
};

/** job_find() - by name; NULL: there is none */
const struct job_type *job_find(const char *name);

/**
 * job_run() - read a job from @in_fd, do it, write its end to @out_fd
 * Return: exit code: 0 after "done", 1 after "error".
 */
int job_run(int in_fd, int out_fd, int data_fd);

/* ---- for jobs ---- */

/** job_tmp() - the job's own folder in tmp/, made at the first call; borrowed */
struct err *job_tmp(struct job *j, const char **ret) MUST_USE;

/** job_arg() - a string member that must be there; borrowed */
struct err *job_arg(const struct job *j, const char *name, const char **ret) MUST_USE;

/** job_status() - {"status":…[,"id":…]}; @id may be NULL */
void job_status(struct job *j, const char *id, const char *status);

/**
 * job_progress() - {"progress":{…}}
 * @layer: digest; its first 12 hex digits are shown
 * @total: 0: not known
 */
void job_progress(struct job *j, const char *layer, const char *status, int64_t current,
		  int64_t total);

/** job_stat() - {"stat":…}, before the data of a get; @stat: borrowed */
void job_stat(struct job *j, const json_t *stat);

/** job_spool() - copy a source to a new file in the job's folder, and digest it on the way */
struct err *job_spool(struct job *j, struct source in, const char *name, char **ret_path,
		      char *ret_digest, int64_t *ret_bytes) MUST_USE;

/* ---- the jobs ---- */

/** job_pull() - pull.c: from a registry */
struct err *job_pull(struct job *j, json_t **ret_done) MUST_USE;
/** job_login() - access.c: do these credentials do? */
struct err *job_login(struct job *j, json_t **ret_done) MUST_USE;
/** job_save() - save.c: docker-archive that is an OCI layout too */
struct err *job_save(struct job *j, json_t **ret_done) MUST_USE;
/** job_sizes() - sizes.c: how much there is in folders */
struct err *job_sizes(struct job *j, json_t **ret_done) MUST_USE;
/** job_load() - load.c: docker-archive, oci-archive */
struct err *job_load(struct job *j, json_t **ret_done) MUST_USE;
/** job_import() - import.c: an image of one layer */
struct err *job_import(struct job *j, json_t **ret_done) MUST_USE;
/** job_files() - files.c: cp, diff, export */
struct err *job_files(struct job *j, json_t **ret_done) MUST_USE;
/** job_remove_tree() - remove.c: a folder below the root, for good */
struct err *job_remove_tree(struct job *j, json_t **ret_done) MUST_USE;
/** job_volume_copy() - trees.c: fill a volume from the image's folder */
struct err *job_volume_copy(struct job *j, json_t **ret_done) MUST_USE;
/** job_erofs() - trees.c: the image's read-only root for VMs */
struct err *job_erofs(struct job *j, json_t **ret_done) MUST_USE;
struct err *job_initramfs(struct job *j, json_t **ret_done) MUST_USE;
struct err *job_kernel_add(struct job *j, json_t **ret_done) MUST_USE;
struct err *job_seccomp(struct job *j, json_t **ret_done) MUST_USE;
/** job_identity() - trust.c: this host's own certificate, made at the first call */
struct err *job_identity(struct job *j, json_t **ret_done) MUST_USE;
/** job_adopt() - adopt.c: blobs that another host sent, and an image of them */
struct err *job_adopt(struct job *j, json_t **ret_done) MUST_USE;
/** job_certificate() - trust.c: is it one, and which? */
struct err *job_certificate(struct job *j, json_t **ret_done) MUST_USE;
/** job_snapshot_copy() - snapshot.c: files of an instance into a folder */
struct err *job_snapshot_copy(struct job *j, json_t **ret_done) MUST_USE;
/** job_snapshot_seal() - checksums and header of a new snapshot */
struct err *job_snapshot_seal(struct job *j, json_t **ret_done) MUST_USE;
/** job_snapshot_stage() - check a snapshot, and copy it to where an instance takes it from */
struct err *job_snapshot_stage(struct job *j, json_t **ret_done) MUST_USE;
/** job_snapshot_export() - snapshot_file.c: as one file; job_snapshot_import() - from one */
struct err *job_snapshot_export(struct job *j, json_t **ret_done) MUST_USE;
struct err *job_snapshot_import(struct job *j, json_t **ret_done) MUST_USE;
struct err *job_kvm_probe(struct job *j, json_t **ret_done) MUST_USE;

#endif
