/* SPDX-License-Identifier: Apache-2.0 */
/* Files of an instance, by a worker: cp, diff, export. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "sys/sock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

/* Where the root file system is: through a living process, or put together from its parts. */
static json_t *rootfs_json(struct instance *i)
{
	struct image *im = image_by_id(i->e, i->spec->image_id ? i->spec->image_id : "");
	OWN(strv) struct strv layers = { 0 };
	json_t *j = json_object(), *lower = json_array();

	if (im)
		image_layers(im, &layers);
	for (size_t n = layers.n; n-- > 0;) {
		OWN(mem) char *path = engine_path(i->e, "layers/sha256/%s/fs", layers.v[n]);

		json_array_append_new(lower, json_string(path));
	}
	if (i->pid > 0)
		json_object_set_new(j, "pid", json_integer(i->pid));
	json_object_set_new(j, "lower", lower);
	if (i->spec->disk_bytes && !quota_project(i)) {
		json_object_set_new(j, "disk", json_sprintf("%s/rw.img", i->state_dir));
	} else {
		json_object_set_new(j, "upper", json_sprintf("%s/rw/upper", i->state_dir));
		json_object_set_new(j, "work", json_sprintf("%s/rw/work", i->state_dir));
	}
	return j;
}

static json_t *mounts_json(struct instance *i)
{
	json_t *a = json_array();

	for (size_t n = 0; n < i->spec->n_mounts; n++) {
		const struct spec_mount *m = &i->spec->mounts[n];
		OWN(mem) char *path = NULL;

		if (m->type == MOUNT_TMPFS)
			continue;
		path = m->type == MOUNT_VOLUME ? volume_path(i->e, m->source) : xstrdup(m->source);
		json_array_append_new(a, json_pack("{s:s, s:s, s:b}", "source", path, "target",
						   m->target, "readonly", m->readonly));
	}
	return a;
}

/* ---- VMs ---- */

/* The shim did not take the request, or lost it: the worker sees its connection end. */
static void on_taken(void *arg, struct err *err, const char *text)
{
	(void)arg;
	(void)text;
	if (err)
		log_debug("files: %s", err_text(err));
	err_free(err);
}

/* What hostel-guest gets in place of a process. */
static struct err *question_file(int *ret_fd)
{
	static const char text[] = "{\"files\": true}";
	OWN(fd) int fd = memfd_create("files", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(errno, "memfd");
	TRY(fd_write_all(fd, text, strlen(text)));
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

static struct err *open_session(struct shim_conn *conn, int *ret_fd)
{
	struct shim_exec x = { .attach.streams = SHIM_STDIN | SHIM_STDOUT | SHIM_RAW };
	OWN(fd) int file = -1;
	OWN(fd) int ours = -1;
	OWN(fd) int theirs = -1;
	int pair[2];
	char id[65];

	TRY(question_file(&file));
	TRY(sock_pair(SOCK_STREAM, pair));
	ours = pair[0];
	theirs = pair[1];
	engine_random_id(id);
	snprintf(x.exec_id, sizeof(x.exec_id), "%s", id);
	shim_conn_exec(conn, &x, TAKE_FD(file), &(struct shim_client) { .fd = TAKE_FD(theirs) },
		       (struct shim_done) { on_taken, NULL });
	*ret_fd = TAKE_FD(ours);
	return NULL;
}

struct err *files_ask_vm(struct engine *e, struct shim_conn *conn, json_t *job,
			 const struct engine_job_io *io, struct engine_done done)
{
	OWN(fd) int agent = -1;
	struct err *err = open_session(conn, &agent);

	if (!err)
		return job_start_with(e, job, io, TAKE_FD(agent), done, NULL);
	json_decref(job);
	own_fd_release(&(int) { io->data_fd });
	return err;
}

static struct err *check_vm(const struct instance *i, const char *op)
{
	TRY(vm_check_agent(i));
	if (i->is_removing)
		return err_new(ERR_STATE, "Container %s is being removed", i->id);
	if (i->op)
		return err_new(ERR_STATE, "Container %s: %s is under way, try again after it",
			       i->id, operation_text(i));
	if (i->freeze.reasons & (1U << FREEZE_USER))
		return err_new(ERR_STATE, "Container %s is paused, unpause it to reach its files",
			       i->id);
	if (i->state == INST_STARTING)
		return err_new(ERR_STATE,
			       "Container %s is starting: its files can be reached once "
			       "it runs",
			       i->id);
	if (streq(op, "put") && i->spec->readonly_rootfs)
		return err_new(ERR_INVALID, "container rootfs is marked read-only");
	if (instance_is_alive(i))
		return i->conn ? NULL
			       : err_new(ERR_UNAVAILABLE, "%s: its supervisor is not reached",
					 i->spec->name);
	if (i->spec->kind != SPEC_IMAGE_VM)
		return err_new(ERR_UNSUPPORTED,
			       "%s is a machine without a disk: it has files only while it runs",
			       i->spec->name);
	return vm_check(i->e, i->spec);
}

/* Through the agent of a guest that runs, else through one that is booted for it. */
static struct err *vm_files(struct engine *e, struct instance *i, json_t *job,
			    const struct engine_job_io *io, struct engine_done done)
{
	struct err *err = check_vm(i, jx_str(job, "op", ""));

	if (err) {
		json_decref(job);
		own_fd_release(&(int) { io->data_fd });
		return err;
	}
	if (instance_is_alive(i)) {
		struct engine_done held = slicing_hold(i, done);

		err = files_ask_vm(e, i->conn, job, io, held);
		if (err)
			slicing_unhold(held);
		return err;
	}
	filevm_job(i, job, io, done);
	return NULL;
}

struct err *engine_files(struct engine *e, struct instance *i, const char *op, const char *path,
			 const struct engine_job_io *io, struct engine_done done,
			 struct engine_job **ret)
{
	static const struct engine_job_io none = { .data_fd = -1 };
	bool is_vm = spec_is_vm(i->spec);

	if (streq(op, "put") && !instance_is_alive(i)) {
		struct err *err = migrate_is_still(i);

		if (err) {
			own_fd_release(&(int) { io ? io->data_fd : -1 });
			return err;
		}
	}
	json_t *rootfs = is_vm ? json_pack("{s:b}", "agent", 1) : rootfs_json(i);
	json_t *job = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "job", "files", "op", op, "name",
				i->spec->name, "path", jx_string(path ? path : "/"), "rootfs",
				rootfs, "mounts", mounts_json(i));

	if (io && io->keep_kind)
		json_object_set_new(job, "noOverwriteDirNonDir", json_true());
	if (ret)
		*ret = NULL;
	return is_vm ? vm_files(e, i, job, io ? io : &none, done)
		     : engine_job_start(e, job, io, done, ret);
}
