/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOSTEL_HOSTEL_H
#define HOSTEL_HOSTEL_H

/*
 * libhostel: containers and virtual machines from C.
 *
 * A client of hosteld's HTTP API on a unix socket.  Three layers, pick the highest
 * that does the job:
 *   stories   hostel_vm_create(), hostel_container_create(), hostel_start(), hostel_run() …
 *   calls     hostel_call(): one request, one reply, JSON text in and out
 *   streams   hostel_send() and hostel_reply_*(), hostel_attach(): poll(2) them yourself
 *
 * Results: 0 (HOSTEL_OK) or a negative enum hostel_result; hostel_error() has the words.
 * Outputs are written on success and untouched on failure; strings are the caller's,
 * to be given to free().  The library never ends the process, prints nothing, changes no
 * signal and keeps no global state; when memory is short it returns HOSTEL_NO_MEMORY.
 *
 * Context: one handle in one thread at a time; as many handles as you like.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HOSTEL_API            __attribute__((visibility("default")))
#define HOSTEL_DEFAULT_SOCKET "/run/hostel/hostel.sock"

enum hostel_result {
	HOSTEL_OK = 0,
	HOSTEL_NO_MEMORY = -1,   /* malloc failed here, on the client's side */
	HOSTEL_NO_DAEMON = -2,   /* nothing answers on the socket */
	HOSTEL_BROKEN = -3,      /* the connection broke, or the reply makes no sense */
	HOSTEL_INVALID = -4,     /* 400: the request itself is wrong */
	HOSTEL_DENIED = -5,      /* 401, 403, or no permission for the socket */
	HOSTEL_NOT_FOUND = -6,   /* 404 */
	HOSTEL_CONFLICT = -7,    /* 409: name taken, wrong state */
	HOSTEL_FAILED = -8,      /* 500 and all else that is an error */
	HOSTEL_UNSUPPORTED = -9, /* 501 */
	HOSTEL_BUSY = -10,       /* 503: try again later */
};

struct hostel;
struct hostel_reply;

/* ---- handle ---- */

/**
 * hostel_open() - a handle; connects to nothing yet
 * @socket: path or unix:// URL; NULL: $HOSTEL_SOCKET, else $DOCKER_HOST when it is a unix:// URL,
 *          else HOSTEL_DEFAULT_SOCKET
 * Return: owned by the caller, or NULL when memory is short.
 */
HOSTEL_API struct hostel *hostel_open(const char *socket);

/** hostel_close() - release a handle; NULL is fine. Its replies must be closed first */
HOSTEL_API void hostel_close(struct hostel *h);

/** hostel_socket() - the path that this handle talks to; borrowed */
HOSTEL_API const char *hostel_socket(const struct hostel *h);

/** hostel_error() - one line about the last failed call; "" when there was none; borrowed */
HOSTEL_API const char *hostel_error(const struct hostel *h);

/** hostel_status() - HTTP status of the last finished call (304: it was so already), or 0 */
HOSTEL_API int hostel_status(const struct hostel *h);

/* ---- stories ---- */

/* A container. Zero and NULL mean: not said. */
struct hostel_container {
	const char *image;        /* must be there already (hostel_pull()) */
	const char *name;         /* NULL: hosteld makes one up */
	const char *const *argv;  /* NULL-terminated; NULL: what the image says */
	const char *const *env;   /* NULL-terminated, "NAME=value" */
	int64_t memory_bytes;     /* limit, and demand in the queue */
	int64_t cpu_milli;        /* 500: half a cpu */
	const char *isolation;    /* "vm": the same image under a kernel of its own */
	const char *network;      /* "bridge" (NULL), "none", "host", "container:NAME" */
	const char *const *binds; /* NULL-terminated, "/host:/inside[:ro]" or "volume:/inside" */
	int tty, open_stdin;      /* as docker's -t and -i */
	int auto_remove;          /* removed when it ends */
	const char
	    *document_json; /* members of Docker's ContainerCreate body laid over all above */
};

/* A virtual machine. */
struct hostel_vm {
	const char *name;
	int64_t memory_mib;       /* 0: hosteld's default, 2 GiB */
	int vcpus;                /* 0: hosteld's default, 2 */
	const char *const *disks; /* NULL-terminated: "FILE", "FILE,overlay", "new:20g" */
	const char *kernel;       /* NULL: from the disk; without a disk, the default bundle */
	const char *initrd;
	const char *append;        /* kernel command line */
	const char *document_json; /* further members of /hostel/v1/vms */
};

/* What a process printed and how it ended. */
struct hostel_output {
	char *text; /* stdout and stderr, in order of arrival; NUL-terminated; free() it */
	size_t len;
	int is_ended; /* 0: still running, exit_code means nothing */
	int exit_code;
};

/** hostel_container_create() - make a container, which starts later; @ret_id: may be NULL */
HOSTEL_API int hostel_container_create(struct hostel *h, const struct hostel_container *c,
				       char **ret_id);

/** hostel_vm_create() - make a virtual machine, which starts later; @ret_id: may be NULL */
HOSTEL_API int hostel_vm_create(struct hostel *h, const struct hostel_vm *vm, char **ret_id);

/**
 * hostel_start() - start an instance; waits in the queue as long as it takes
 * @waiting: called with the reason while it waits and at each change; NULL: not told;
 *           a return other than 0 gives up (the start is withdrawn, HOSTEL_FAILED)
 * Return: 0 when the process runs (hostel_status() 304: it ran already).
 */
HOSTEL_API int hostel_start(struct hostel *h, const char *ref,
			    int (*waiting)(void *arg, const char *reason), void *arg);

/**
 * hostel_run() - run something and see what comes of it
 * @argv:       NULL-terminated command, run inside the running instance (started first if need be);
 *              NULL: the instance's own process: it is started if it never was
 * @timeout_ms: without @argv: how long to wait for the end; -1: as long as it takes. What still
 *              runs then is left alone, @ret says so
 * @ret:        an instance that has ended is not started again: its output and status
 */
HOSTEL_API int hostel_run(struct hostel *h, const char *ref, const char *const *argv,
			  int timeout_ms, struct hostel_output *ret);

/** hostel_stop() - ask it to end, by force after @timeout_s (-1: its own time-out); an ended one is
 *  no error */
HOSTEL_API int hostel_stop(struct hostel *h, const char *ref, int timeout_s);

/** hostel_kill() - send a signal, "TERM" or "9"; NULL: KILL */
HOSTEL_API int hostel_kill(struct hostel *h, const char *ref, const char *signal);
HOSTEL_API int hostel_restart(struct hostel *h, const char *ref, int timeout_s);
HOSTEL_API int hostel_pause(struct hostel *h, const char *ref);
HOSTEL_API int hostel_unpause(struct hostel *h, const char *ref);
HOSTEL_API int hostel_rename(struct hostel *h, const char *ref, const char *name);

/** hostel_remove() - remove an instance; @force: end it first; @volumes: its anonymous ones too */
HOSTEL_API int hostel_remove(struct hostel *h, const char *ref, int force, int volumes);

/** hostel_wait() - until it does not run; @ret_code: its exit code */
HOSTEL_API int hostel_wait(struct hostel *h, const char *ref, int *ret_code);

/** hostel_inspect() - Docker's ContainerInspect document */
HOSTEL_API int hostel_inspect(struct hostel *h, const char *ref, char **ret_json);

/** hostel_list() - every instance that has not exited, queued ones with the reason; @all: and the
 *  rest. Array of hostel's own documents (/hostel/v1/instances) */
HOSTEL_API int hostel_list(struct hostel *h, int all, char **ret_json);

/* ---- snapshots ---- */

/* Told how it goes; each message is a JSON object as text. */
struct hostel_watch {
	void (*progress)(void *arg, const char *message_json); /* may be NULL */
	void *arg;
};

/**
 * hostel_snapshot_create() - keep an instance's disk as it is now, and with @stateful all that runs
 * @name:     NULL: snap0 and so on
 * @watch:    may be NULL, as in the calls below
 * @ret_json: the snapshot; may be NULL
 */
HOSTEL_API int hostel_snapshot_create(struct hostel *h, const char *ref, const char *name,
				      int stateful, const struct hostel_watch *watch,
				      char **ret_json);
/** hostel_snapshot_list() - array; @ref: NULL: of all instances */
HOSTEL_API int hostel_snapshot_list(struct hostel *h, const char *ref, char **ret_json);
HOSTEL_API int hostel_snapshot_remove(struct hostel *h, const char *ref, const char *name);

/**
 * hostel_snapshot_restore() - put a snapshot back; a stateful one goes on where it was
 * @name:     NULL: the newest checkpoint
 * @as:       a new instance of this name; NULL: in place
 * @force:    in place, though it runs: what there is, is kept as a snapshot
 * @ret_json: {"id","name","warnings"}
 */
HOSTEL_API int hostel_snapshot_restore(struct hostel *h, const char *ref, const char *name,
				       const char *as, int force, const struct hostel_watch *watch,
				       char **ret_json);

/** hostel_fork() - running copies; @ret_json: {"names":[…],"warnings":[…]} */
HOSTEL_API int hostel_fork(struct hostel *h, const char *ref, int copies,
			   const struct hostel_watch *watch, char **ret_json);

/* ---- images and numbers ---- */

/**
 * hostel_login() - ask a registry whether it takes these credentials, and keep them for later pulls
 * They are kept where Docker keeps them: "auths" of $DOCKER_CONFIG/config.json or
 * ~/.docker/config.json. Credential helpers are refused by name (HOSTEL_UNSUPPORTED).
 * @registry: "localhost:5000"; NULL: docker.io
 */
HOSTEL_API int hostel_login(struct hostel *h, const char *registry, const char *user,
			    const char *password);

/** hostel_logout() - forget them; HOSTEL_NOT_FOUND when there are none */
HOSTEL_API int hostel_logout(struct hostel *h, const char *registry);

/**
 * hostel_pull() - fetch an image, with what hostel_login() or docker login kept for its registry
 * @progress: called with each progress message (a JSON object as text); may be NULL
 */
HOSTEL_API int hostel_pull(struct hostel *h, const char *image, const char *platform,
			   void (*progress)(void *arg, const char *message_json), void *arg);

/** hostel_load() - images from an archive (docker save, OCI) read from a descriptor (borrowed) */
HOSTEL_API int hostel_load(struct hostel *h, int fd,
			   void (*progress)(void *arg, const char *message_json), void *arg);
HOSTEL_API int hostel_images(struct hostel *h, char **ret_json);
HOSTEL_API int hostel_image_remove(struct hostel *h, const char *ref, int force, char **ret_json);
HOSTEL_API int hostel_queue(struct hostel *h, char **ret_json);
/** hostel_trust_add() - trust another host with instances, by its certificate (PEM) */
HOSTEL_API int hostel_trust_add(struct hostel *h, const char *name, const char *certificate);
HOSTEL_API int hostel_trust_remove(struct hostel *h, const char *name);
/** hostel_trust_list() - array of {name, fingerprint, certificate, since_ns} */
HOSTEL_API int hostel_trust_list(struct hostel *h, char **ret_json);
/** hostel_identity() - {certificate, fingerprint} of this host, to be trusted by others */
HOSTEL_API int hostel_identity(struct hostel *h, char **ret_json);
/**
 * hostel_migrate() - move an instance to another host, stopped on the way if it runs
 * @to:       "tcp+tls://HOST:PORT" or "unix:///PATH"
 * @progress: called with each line of progress (a JSON object as text); may be NULL
 * Return: 0 when it is there and nothing is left here; the error says where it is otherwise.
 */
HOSTEL_API int hostel_migrate(struct hostel *h, const char *ref, const char *to,
			      void (*progress)(void *arg, const char *message_json), void *arg);
/** hostel_migrate_check() - {reasons: [why it would fail]}; nothing is changed */
HOSTEL_API int hostel_migrate_check(struct hostel *h, const char *ref, const char *to,
				    char **ret_json);
/** hostel_migrate_resolve() - of one that is in doubt: it is @here, or there */
HOSTEL_API int hostel_migrate_resolve(struct hostel *h, const char *ref, int here);
HOSTEL_API int hostel_resources(struct hostel *h, char **ret_json);
/** hostel_accounting() - the newest 250 starts, and sums of these; older ones by `next` of the
 * answer, GET /hostel/v1/accounting?before=N (hostel_call()) */
HOSTEL_API int hostel_accounting(struct hostel *h, char **ret_json);
HOSTEL_API int hostel_version(struct hostel *h, char **ret_json);
HOSTEL_API int hostel_info(struct hostel *h, char **ret_json);

/* ---- calls ---- */

/**
 * hostel_call() - one request, the whole reply
 * @method:    "GET", "POST", "PUT", "DELETE", "HEAD"
 * @path:      with its query, "/containers/json?all=1"; percent-encode what you put in
 * @body_json: NULL: no body
 * @ret_body:  NUL-terminated; may be NULL
 */
HOSTEL_API int hostel_call(struct hostel *h, const char *method, const char *path,
			   const char *body_json, char **ret_body);

/** hostel_encode() - @text percent-encoded for a path or query; NULL when memory is short */
HOSTEL_API char *hostel_encode(const char *text);

/* ---- streams ---- */

struct hostel_request {
	const char *method, *path;
	const char *body;         /* NULL: none */
	size_t body_len;          /* 0 with a body: strlen() */
	const char *content_type; /* NULL: application/json when there is a body */
	int has_body_fd;          /* send what body_fd (borrowed) gives until its end */
	int body_fd;
	const char *headers; /* further header lines, each ended by CR LF; NULL: none */
	int is_upgrade;      /* ask for a raw connection: 101 */
	int no_reuse;        /* a connection of its own, for what will be waited for */
};

/**
 * hostel_send() - send a request; the reply is read by hostel_reply_*()
 * Context: blocks while the request is written; not for the reply.
 */
HOSTEL_API int hostel_send(struct hostel *h, const struct hostel_request *r,
			   struct hostel_reply **ret);

/** hostel_reply_fd() - for poll(2); look at hostel_reply_pending() first; borrowed */
HOSTEL_API int hostel_reply_fd(const struct hostel_reply *r);

/** hostel_reply_pending() - would hostel_reply_head() or _read() return without waiting? */
HOSTEL_API int hostel_reply_pending(struct hostel_reply *r);

/**
 * hostel_reply_head() - wait for the status line
 * Return: 0 for 1xx to 3xx; for others the error, with its message read from the body.
 */
HOSTEL_API int hostel_reply_head(struct hostel_reply *r);

/** hostel_reply_status() - HTTP status; 0 before hostel_reply_head() */
HOSTEL_API int hostel_reply_status(const struct hostel_reply *r);

/** hostel_reply_header() - a header's value, or NULL; borrowed; valid until the first body byte is
 *  read */
HOSTEL_API const char *hostel_reply_header(struct hostel_reply *r, const char *name);

/**
 * hostel_reply_read() - some bytes of the body
 * Return: bytes, 0 at its end, or a negative enum hostel_result.
 */
HOSTEL_API ssize_t hostel_reply_read(struct hostel_reply *r, void *buf, size_t size);

/** hostel_reply_line() - one line of the body without its end; HOSTEL_OK with NULL at its end */
HOSTEL_API int hostel_reply_line(struct hostel_reply *r, char **ret_line);

/** hostel_reply_write() - bytes towards the other side, after 101 */
HOSTEL_API int hostel_reply_write(struct hostel_reply *r, const void *data, size_t len);

/** hostel_reply_shut() - after 101: nothing more will be written (end of stdin) */
HOSTEL_API int hostel_reply_shut(struct hostel_reply *r);

/** hostel_reply_close() - done with it, read to the end or not; NULL is fine */
HOSTEL_API void hostel_reply_close(struct hostel_reply *r);

enum hostel_stream { HOSTEL_STDIN = 0, HOSTEL_STDOUT = 1, HOSTEL_STDERR = 2 };

/**
 * hostel_frame_read() - some bytes of a multiplexed stream (attach, exec, logs without a tty)
 * @ret_stream: which stream the bytes belong to
 * Return: bytes, 0 at the end, or a negative enum hostel_result.
 */
HOSTEL_API ssize_t hostel_frame_read(struct hostel_reply *r, int *ret_stream, void *buf,
				     size_t size);

#ifdef __cplusplus
}
#endif

#endif
