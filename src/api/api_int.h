/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_API_INT_H
#define API_API_INT_H

/*
 * What the handlers share.  A call is one request under way; it lives until its reply is
 * through.  A handler answers at once or later, or returns an error, which is answered for it.
 */

#include "api/api.h"
#include "api/docker_inspect.h"
#include "api/docker_text.h"
#include "http/http.h"
#include "http/query.h"

struct api {
	struct engine *engine;
	struct loop *loop;
	struct http_server *server;
	const json_t *config;
	char *socket_path;
};

struct call;

/* What happens to the request's body before the handler runs. */
enum route_body {
	NO_BODY,   /* dropped */
	JSON_BODY, /* parsed into call.body; an empty one is NULL */
	RAW_BODY,  /* the handler runs first and may take it by http_body_to() */
};

struct route {
	const char *method; /* GET answers HEAD too where the table has no HEAD */
	const char *path;
	enum route_body body;
	struct err *(*fn)(struct call *c);
};

struct call {
	struct api *api;
	struct http_request *r;
	const struct route *route;
	struct http_params params;
	json_t *body; /* owned; NULL: none */
	int minor;    /* API version 1.minor; 50 when the client named none */
	int status;   /* of the reply that call_done() makes */

	/* of those that go on for a while */
	struct engine_ticket *ticket;
	struct engine_job *job;
	struct http_stream *stream;   /* after call_stream() */
	struct http_source *source;   /* after call_send_job() */
	bool is_busy;                 /* a completion is to come that cannot be cancelled */
	bool is_gone;                 /* the client went while is_busy: end when it comes */
	void (*stop)(struct call *c); /* the client of a stream went: release what feeds it */
	void *state;                  /* the handler's own */
	void (*state_free)(void *state);
};

/* ---- asking (api.c) ---- */

/** call_param() - a {part} of the path; never NULL for a part of the route */
const char *call_param(const struct call *c, const char *name);
/** call_query() - first decoded value of a query key, or NULL; borrowed */
const char *call_query(const struct call *c, const char *key);

/** call_flag() - boolean query parameter, as dockerd reads it */
bool call_flag(const struct call *c, const char *key);

/** call_int() - integer query parameter; ERR_INVALID when it is none */
struct err *call_int(const struct call *c, const char *key, int64_t fallback,
		     int64_t *ret) MUST_USE;

/** call_instance() - the instance named by {id} */
struct err *call_instance(const struct call *c, struct instance **ret) MUST_USE;

/** call_owner() - the spec's owner: who asks, or whom root names by a label; ERR_DENIED */
struct err *call_owner(const struct call *c, struct spec *s) MUST_USE;

/** call_paths() - where things are, for documents */
struct docker_paths call_paths(const struct call *c);

/* ---- answering: each ends the call (api.c) ---- */

/** call_json() - a document; @j is consumed */
void call_json(struct call *c, int status, json_t *j);

/** call_empty() - no body: 204, 304, 201 */
void call_empty(struct call *c, int status);

/** call_text() - plain bytes of a type */
void call_text(struct call *c, int status, const char *type, const char *text);

/** call_error() - {"message":…} with the kind's status; @e is consumed */
void call_error(struct call *c, struct err *e);

/** api_error_json() - {"message":…,"kind":…} */
json_t *api_error_json(const struct err *e);

/** api_kind_name() - "NOT_FOUND"; static storage */
const char *api_kind_name(enum err_kind kind);

/** call_done() - a completion that answers @status without a body, or the error */
struct engine_done call_done(struct call *c, int status);

/** call_done_json() - as call_done(), with the result as body */
struct engine_done call_done_json(struct call *c, int status);

/** call_cancel_when_gone() - a client that goes cancels call.ticket and call.job */
void call_cancel_when_gone(struct call *c);

/**
 * call_send_job() - 200 at once, then what call.job writes to the other end of @fd (consumed)
 * The job's end is told by call_sent().  A client that goes cancels the job.
 */
void call_send_job(struct call *c, const char *type, int fd);

/** call_sent() - completion for the job of call_send_job(): a failed one cuts the connection */
struct engine_done call_sent(struct call *c);

/**
 * call_with_sizes() - have a worker count what instances (@only: one; NULL: all) have written,
 * then let @answer answer, or fail
 * @sizes: {"instance id": bytes}, with @with_volumes {"volume/NAME": bytes} too
 */
struct err *call_with_sizes(struct call *c, struct instance *only, bool with_volumes,
			    struct err *(*answer)(struct call *c, const json_t *sizes)) MUST_USE;

/** call_add_sizes() - SizeRw and SizeRootFs of an instance into its document */
void call_add_sizes(struct call *c, const struct instance_view *v, const json_t *sizes, json_t *j);

/**
 * call_stream() - 200 at once and a stream of lines in call.stream
 * When the client goes: call.ticket and call.job are cancelled, call.stop runs, and the stream
 * is ended, at once or, if call.is_busy, by call_stream_end() in the completion.
 */
void call_stream(struct call *c, const char *type);

/** call_line() - one JSON document and a newline into the stream (@j consumed) */
void call_line(struct call *c, json_t *j);

/** call_stream_end() - no more; the call is over */
void call_stream_end(struct call *c);

/** volume_complete() - an empty object for each of a volume's members that is null; @v */
json_t *volume_complete(json_t *v);

/** image_summary() - an image as lists show it (images.c) */
json_t *image_summary(const struct engine_image *im);

/* ---- handlers ---- */

typedef struct err *handler(struct call *c);

extern const struct route api_routes[];
extern const size_t api_n_routes;

/* system.c */
handler sys_ping, sys_version, sys_info, sys_df, sys_events, sys_build_prune, sys_unsupported;
/* containers.c */
handler ctr_list, ctr_create, ctr_inspect, ctr_start, ctr_stop, ctr_restart, ctr_kill, ctr_pause,
    ctr_unpause, ctr_rename, ctr_update, ctr_remove, ctr_resize, ctr_top, ctr_changes, ctr_prune;
/* streams.c */
handler ctr_wait, ctr_attach, ctr_logs, ctr_stats, exec_create, exec_start, exec_resize,
    exec_inspect;
/* files.c */
handler ctr_export, ctr_archive_get, ctr_archive_put;
/* images.c */
handler img_list, img_create, img_load, img_save, img_save_one, img_tag, img_remove, img_inspect,
    img_history, img_login, img_prune, img_distribution;
/* volumes.c */
handler vol_list, vol_create, vol_inspect, vol_remove, vol_prune;
/* networks.c */
handler net_list, net_inspect, net_create, net_remove, net_prune, net_connect, net_disconnect;
/* hostel.c */
handler hst_openapi, hst_vm_list, hst_vm_create, hst_list, hst_inspect, hst_start, hst_wait,
    hst_queue, hst_resources, hst_policy, hst_policy_set, hst_accounting, hst_config, hst_info,
    hst_kernels, hst_kernel_add, hst_kernel_remove;
/* fit.c */
handler hst_fit;
/* queue.c */
handler que_hold, que_release, que_cancel, que_move, que_drain, que_drain_set, que_quotas,
    que_quota_set, que_quota_remove;

/* migrate.c */
handler mig_trust, mig_trust_add, mig_trust_remove, mig_trust_own, mig_migrate, mig_resolve;

/* checkpoints.c */
handler chk_create, chk_list, chk_remove;
/* a start from a checkpoint */
struct err *chk_start(struct call *c, struct instance *i) MUST_USE;

/* snapshots.c */
handler snp_list_all, snp_list, snp_create, snp_remove, snp_restore, snp_restore_newest, snp_fork,
    snp_cancel, snp_export, snp_import, snp_backup, snp_backup_restore;

/* src/api/openapi.json, made at build time */
extern const char api_openapi[];

#endif
