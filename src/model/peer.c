/* SPDX-License-Identifier: Apache-2.0 */
#include "model/peer.h"

#include <string.h>

#include "util/mem.h"
#include "util/num.h"

#define TLS_PREFIX  "tcp+tls://"
#define UNIX_PREFIX "unix://"
#define HOST_MAX    255

void peer_done(struct peer *p)
{
	free(TAKE(p->host));
	free(TAKE(p->port));
	free(TAKE(p->path));
}

static struct err *wrong(const char *text)
{
	return err_new(ERR_INVALID, "\"%.128s\": expected tcp+tls://HOST:PORT or unix:///PATH",
		       text);
}

static struct err *parse_tls(const char *text, struct peer *ret)
{
	const char *host = text + strlen(TLS_PREFIX), *colon = strrchr(host, ':');
	size_t n = colon ? (size_t)(colon - host) : 0;
	int64_t port;

	if (n > 2 && *host == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	} else if (n && memchr(host, ':', n)) {
		return wrong(text);
	}
	if (!n || n > HOST_MAX || strcspn(host, "/@ []") < n)
		return wrong(text);
	TRY_MSG(num_parse_i64(colon + 1, 1, 65535, &port), "%.128s: port", text);
	ret->kind = PEER_TLS;
	ret->host = xstrndup(host, n);
	ret->port = xasprintf("%d", (int)port);
	return NULL;
}

struct err *peer_parse(const char *text, struct peer *ret)
{
	if (!strncmp(text, TLS_PREFIX, strlen(TLS_PREFIX)))
		return parse_tls(text, ret);
	if (strncmp(text, UNIX_PREFIX "/", strlen(UNIX_PREFIX) + 1) != 0)
		return wrong(text);
	ret->kind = PEER_UNIX;
	ret->path = xstrdup(text + strlen(UNIX_PREFIX));
	return NULL;
}

json_t *peer_hello(void)
{
	return json_pack("{s:i, s:s}", "hostel_migrate", PEER_VERSION, "hostel", HOSTEL_VERSION);
}

struct err *peer_check_hello(const char *text, size_t len)
{
	OWN(json) json_t *j = NULL;
	OWN(err) struct err *err = jx_parse(text, len, &j);
	const json_t *version = json_object_get(j, "hostel_migrate");

	if (err || !json_is_integer(version))
		return err_new(ERR_CORRUPT, "the other side is no hosteld that takes instances");
	if (json_integer_value(version) == PEER_VERSION)
		return NULL;
	return err_new(ERR_UNSUPPORTED,
		       "the other side (hostel %.32s) speaks version %d of the migration protocol, "
		       "this one (hostel %s) version %d: update the older one",
		       jx_str(j, "hostel", "?"), (int)json_integer_value(version), HOSTEL_VERSION,
		       PEER_VERSION);
}
