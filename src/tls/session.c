/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/session.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls/identity.h"
#include "util/clock.h"
#include "util/mem.h"

#define PRIORITY    "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE"
#define WRITE_BYTES ((size_t)1 << 20)
#define LINGER_NS   (2 * INT64_C(1000000000))

struct tls_session {
	gnutls_session_t tls;
	gnutls_certificate_credentials_t own;
	int fd;
	int64_t limit_ns; /* of the handshake, boot clock; 0: none */
	bool is_late;
	struct strv pinned; /* fingerprints */
	char peer[DIGEST_CHARS];
	bool is_foreign; /* the peer showed a certificate that is not pinned */
};

void tls_session_free(struct tls_session *s)
{
	if (!s)
		return;
	if (s->tls)
		gnutls_deinit(s->tls);
	if (s->own)
		gnutls_certificate_free_credentials(s->own);
	strv_done(&s->pinned);
	free(s);
}

/* ---- bytes: read(2) and write(2), which a jailed worker has ---- */

static bool is_in_time(struct tls_session *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	int64_t left_ns;

	if (!s->limit_ns)
		return true;
	do {
		left_ns = s->limit_ns - clock_boot_ns();
	} while (left_ns > 0 && poll(&p, 1, (int)(left_ns / 1000000) + 1) < 0 && errno == EINTR);
	s->is_late = left_ns <= 0 || !p.revents;
	return !s->is_late;
}

static ssize_t pull(gnutls_transport_ptr_t arg, void *buf, size_t size)
{
	struct tls_session *s = arg;
	ssize_t n;

	if (!is_in_time(s)) {
		gnutls_transport_set_errno(s->tls, ETIMEDOUT);
		return -1;
	}
	do {
		n = read(s->fd, buf, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		gnutls_transport_set_errno(s->tls, errno);
	return n;
}

static int pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
	struct tls_session *s = arg;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	return poll(&p, 1, ms == GNUTLS_INDEFINITE_TIMEOUT ? -1 : (int)ms);
}

static ssize_t push(gnutls_transport_ptr_t arg, const void *data, size_t n)
{
	struct tls_session *s = arg;
	ssize_t done;

	do {
		done = write(s->fd, data, n);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		gnutls_transport_set_errno(s->tls, errno);
	return done;
}

/* ---- who is there ---- */

static int verify(gnutls_session_t tls)
{
	struct tls_session *s = gnutls_session_get_ptr(tls);
	unsigned n = 0;
	const gnutls_datum_t *shown = gnutls_certificate_get_peers(tls, &n);

	s->is_foreign = true;
	if (!shown || !n)
		return GNUTLS_E_CERTIFICATE_ERROR;
	digest_of(shown[0].data, shown[0].size, s->peer);
	if (!strv_has(&s->pinned, s->peer))
		return GNUTLS_E_CERTIFICATE_ERROR;
	s->is_foreign = false;
	return 0;
}

static bool is_about_trust(gnutls_alert_description_t alert)
{
	return alert == GNUTLS_A_BAD_CERTIFICATE || alert == GNUTLS_A_CERTIFICATE_UNKNOWN ||
	       alert == GNUTLS_A_CERTIFICATE_REQUIRED || alert == GNUTLS_A_UNKNOWN_CA ||
	       alert == GNUTLS_A_ACCESS_DENIED;
}

static struct err *alerted(const struct tls_session *s)
{
	gnutls_alert_description_t alert = gnutls_alert_get(s->tls);

	if (is_about_trust(alert))
		return err_new(ERR_DENIED, "the other side does not trust this host's certificate "
					   "(hostel trust show here, hostel trust add there)");
	return err_new(ERR_UNAVAILABLE, "the other side ended TLS: %s",
		       gnutls_alert_get_name(alert));
}

static struct err *foreign(const struct tls_session *s)
{
	if (!*s->peer)
		return err_new(ERR_DENIED, "the other side shows no certificate");
	return err_new(ERR_DENIED,
		       "the other side's certificate %s is not trusted here (hostel trust add)",
		       s->peer);
}

static struct err *explain(const struct tls_session *s, int rc)
{
	if (s->is_foreign)
		return foreign(s);
	if (s->is_late)
		return err_new(ERR_UNAVAILABLE, "the other side does not answer");
	if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED || rc == GNUTLS_E_WARNING_ALERT_RECEIVED)
		return alerted(s);
	if (rc == GNUTLS_E_PREMATURE_TERMINATION || rc == GNUTLS_E_PULL_ERROR ||
	    rc == GNUTLS_E_PUSH_ERROR)
		return err_new(ERR_UNAVAILABLE, "the connection was cut");
	if (rc == GNUTLS_E_UNSUPPORTED_VERSION_PACKET || rc == GNUTLS_E_UNEXPECTED_PACKET ||
	    rc == GNUTLS_E_UNEXPECTED_PACKET_LENGTH)
		return err_new(ERR_UNSUPPORTED, "the other side speaks no TLS 1.3");
	return err_new(ERR_CORRUPT, "TLS: %s", gnutls_strerror(rc));
}

/* ---- setting up ---- */

static struct err *pin(struct tls_session *s, const struct strv *peers)
{
	for (size_t i = 0; peers && i < peers->n; i++) {
		OWN(mem) char *pem = NULL;
		char fingerprint[DIGEST_CHARS];

		TRY(certificate_read(peers->v[i], strlen(peers->v[i]), &pem, fingerprint));
		strv_add(&s->pinned, fingerprint);
	}
	return NULL;
}

static int load_own(struct tls_session *s, const struct tls_setup *o)
{
	gnutls_datum_t crt = { (unsigned char *)(uintptr_t)o->certificate,
			       (unsigned)strlen(o->certificate) };
	gnutls_datum_t key = { (unsigned char *)(uintptr_t)o->key, (unsigned)strlen(o->key) };
	int rc = gnutls_certificate_allocate_credentials(&s->own);

	if (rc >= 0)
		rc = gnutls_certificate_set_x509_key_mem(s->own, &crt, &key, GNUTLS_X509_FMT_PEM);
	if (rc >= 0)
		gnutls_certificate_set_verify_function(s->own, verify);
	return rc;
}

static int set_up(struct tls_session *s, const struct tls_setup *o)
{
	unsigned flags =
	    (o->is_server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_TICKETS | GNUTLS_NO_SIGNAL;
	int rc = gnutls_init(&s->tls, flags);

	if (rc >= 0)
		rc = gnutls_priority_set_direct(s->tls, PRIORITY, NULL);
	if (rc >= 0)
		rc = load_own(s, o);
	if (rc >= 0)
		rc = gnutls_credentials_set(s->tls, GNUTLS_CRD_CERTIFICATE, s->own);
	if (rc < 0)
		return rc;
	gnutls_session_set_ptr(s->tls, s);
	gnutls_handshake_set_timeout(s->tls, GNUTLS_INDEFINITE_TIMEOUT); /* ours counts */
	if (o->is_server)
		gnutls_certificate_server_set_request(s->tls, GNUTLS_CERT_REQUIRE);
	gnutls_transport_set_ptr(s->tls, s);
	gnutls_transport_set_pull_function(s->tls, pull);
	gnutls_transport_set_pull_timeout_function(s->tls, pull_timeout);
	gnutls_transport_set_push_function(s->tls, push);
	return 0;
}

/* Closing with bytes unread would take the alert back: wait until the other side has closed. */
static void linger(struct tls_session *s)
{
	char buf[512];

	shutdown(s->fd, SHUT_WR);
	s->limit_ns = clock_boot_ns() + LINGER_NS;
	while (is_in_time(s) && read(s->fd, buf, sizeof(buf)) > 0)
		;
}

static int shake(struct tls_session *s)
{
	int rc;

	do {
		rc = gnutls_handshake(s->tls);
	} while (rc < 0 && !gnutls_error_is_fatal(rc));
	if (rc == GNUTLS_E_CERTIFICATE_ERROR || rc == GNUTLS_E_NO_CERTIFICATE_FOUND ||
	    rc == GNUTLS_E_CERTIFICATE_REQUIRED)
		s->is_foreign = true;
	if (s->is_foreign) {
		gnutls_alert_send(s->tls, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
		linger(s);
	}
	return rc;
}

struct err *tls_session_open(const struct tls_setup *o, struct tls_session **ret)
{
	OWN(tls_session) struct tls_session *s = xnew(struct tls_session);
	int rc;

	s->fd = o->fd;
	TRY(pin(s, o->peers));
	rc = set_up(s, o);
	if (rc < 0)
		return err_new(ERR_INTERNAL, "TLS: %s", gnutls_strerror(rc));
	if (o->handshake_ms)
		s->limit_ns = clock_boot_ns() + o->handshake_ms * INT64_C(1000000);
	rc = shake(s);
	if (rc < 0)
		return explain(s, rc);
	s->limit_ns = 0;
	*ret = TAKE(s);
	return NULL;
}

const char *tls_session_peer(const struct tls_session *s)
{
	return s->peer;
}

/* ---- talking ---- */

struct err *tls_session_read(struct tls_session *s, void *buf, size_t size, size_t *ret_n)
{
	ssize_t n;

	do {
		n = gnutls_record_recv(s->tls, buf, size);
	} while (n < 0 && !gnutls_error_is_fatal((int)n));
	if (n < 0)
		return explain(s, (int)n);
	*ret_n = (size_t)n;
	return NULL;
}

/* Who hung up may have said why. */
static int last_words(struct tls_session *s, int rc)
{
	char buf[64];
	ssize_t n;

	if (rc != GNUTLS_E_PUSH_ERROR)
		return rc;
	n = gnutls_record_recv(s->tls, buf, sizeof(buf));
	return n < 0 ? (int)n : rc;
}

struct err *tls_session_write(struct tls_session *s, const void *data, size_t n)
{
	const char *at = data;

	while (n) {
		ssize_t done = gnutls_record_send(s->tls, at, n < WRITE_BYTES ? n : WRITE_BYTES);

		if (done < 0 && gnutls_error_is_fatal((int)done))
			return explain(s, last_words(s, (int)done));
		if (done < 0)
			continue;
		at += done;
		n -= (size_t)done;
	}
	return NULL;
}

size_t tls_session_pending(const struct tls_session *s)
{
	return gnutls_record_check_pending(s->tls);
}

void tls_session_bye(struct tls_session *s)
{
	gnutls_bye(s->tls, GNUTLS_SHUT_WR);
}
