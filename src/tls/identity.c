/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define SERIAL_BYTES 16
#define DAY_S        86400
/* 9999-12-31T23:59:59Z, by which RFC 5280 §4.1.2.5 says "no end" */
#define NO_END_S ((time_t)253402300799)

void identity_done(struct identity *id)
{
	if (id->key)
		explicit_bzero(id->key, strlen(id->key));
	free(TAKE(id->key));
	free(TAKE(id->certificate));
}

static struct err *failed(int rc, const char *what)
{
	return err_new(ERR_INTERNAL, "%s: %s", what, gnutls_strerror(rc));
}

/* ---- making one ---- */

struct maker {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

static void own_maker_release(struct maker *m)
{
	if (m->key)
		gnutls_x509_privkey_deinit(m->key);
	if (m->crt)
		gnutls_x509_crt_deinit(m->crt);
}

static char *text_of(gnutls_datum_t *d)
{
	char *text = xstrndup((const char *)d->data, d->size);

	explicit_bzero(d->data, d->size);
	gnutls_free(d->data);
	return text;
}

static int make_key(struct maker *m)
{
	int rc = gnutls_x509_privkey_init(&m->key);

	if (rc >= 0)
		rc = gnutls_x509_privkey_generate(
		    m->key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	return rc;
}

static int fill(struct maker *m, const char *name)
{
	unsigned char serial[SERIAL_BYTES];
	int rc = gnutls_x509_crt_init(&m->crt);

	if (rc >= 0)
		rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] &= 0x7f; /* positive */
	if (rc >= 0)
		rc = gnutls_x509_crt_set_serial(m->crt, serial, sizeof(serial));
	if (rc >= 0)
		rc = gnutls_x509_crt_set_version(m->crt, 3);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_activation_time(m->crt, time(NULL) - DAY_S);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_expiration_time(m->crt, NO_END_S);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_dn_by_oid(m->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						   (unsigned)strlen(name));
	if (rc >= 0)
		rc = gnutls_x509_crt_set_key(m->crt, m->key);
	return rc;
}

static int sign(struct maker *m)
{
	gnutls_privkey_t by = NULL;
	int rc = gnutls_privkey_init(&by);

	if (rc >= 0)
		rc = gnutls_privkey_import_x509(by, m->key, 0);
	if (rc >= 0)
		rc = gnutls_x509_crt_privkey_sign(m->crt, m->crt, by, GNUTLS_DIG_SHA256, 0);
	if (by)
		gnutls_privkey_deinit(by);
	return rc;
}

struct err *identity_make(const char *name, struct identity *ret)
{
	OWN(maker) struct maker m = { 0 };
	OWN(identity) struct identity id = { 0 };
	gnutls_datum_t key, crt;
	int rc = make_key(&m);

	if (rc >= 0)
		rc = fill(&m, name);
	if (rc >= 0)
		rc = sign(&m);
	if (rc >= 0)
		rc = gnutls_x509_privkey_export2(m.key, GNUTLS_X509_FMT_PEM, &key);
	if (rc < 0)
		return failed(rc, "make a key and a certificate");
	id.key = text_of(&key);
	rc = gnutls_x509_crt_export2(m.crt, GNUTLS_X509_FMT_PEM, &crt);
	if (rc < 0)
		return failed(rc, "make a certificate");
	id.certificate = text_of(&crt);
	ret->certificate = TAKE(id.certificate);
	ret->key = TAKE(id.key);
	return NULL;
}

/* ---- keeping it ---- */

#define CRT_BEGIN "-----BEGIN CERTIFICATE-----"

static struct err *split(const char *text, const char *path, struct identity *ret)
{
	const char *crt = strstr(text, CRT_BEGIN);
	char fingerprint[DIGEST_CHARS];

	if (!crt || crt == text)
		return err_new(ERR_CORRUPT, "%s holds no key and certificate", path);
	TRY_MSG(certificate_read(crt, strlen(crt), &ret->certificate, fingerprint), "%s", path);
	ret->key = xstrndup(text, (size_t)(crt - text));
	return NULL;
}

static struct err *make_and_keep(const char *path, const char *name, struct identity *ret)
{
	OWN(identity) struct identity id = { 0 };
	OWN(mem) char *text = NULL;
	struct err *e;

	TRY(identity_make(name, &id));
	text = xasprintf("%s%s", id.key, id.certificate);
	e = fd_write_file(AT_FDCWD, path, text, strlen(text), 0600);
	explicit_bzero(text, strlen(text));
	if (e)
		return e;
	ret->certificate = TAKE(id.certificate);
	ret->key = TAKE(id.key);
	return NULL;
}

struct err *identity_open(const char *dir, const char *name, struct identity *ret)
{
	OWN(mem) char *path = xasprintf("%s/identity.pem", dir);
	OWN(mem) char *text = NULL;
	struct err *e;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(errno, "mkdir %s", dir);
	e = fd_read_file(AT_FDCWD, path, IDENTITY_PEM_MAX, &text);
	if (e && err_errno(e) == ENOENT) {
		err_free(e);
		return make_and_keep(path, name, ret);
	}
	TRY(e);
	e = split(text, path, ret);
	explicit_bzero(text, strlen(text));
	return e;
}

/* ---- what others give us ---- */

struct crts {
	gnutls_x509_crt_t *v;
	unsigned n;
};

static void own_crts_release(struct crts *c)
{
	for (unsigned i = 0; i < c->n; i++)
		gnutls_x509_crt_deinit(c->v[i]);
	gnutls_free(c->v);
}

struct err *certificate_read(const char *pem, size_t len, char **ret_pem,
			     char fingerprint[DIGEST_CHARS])
{
	gnutls_datum_t data = { (unsigned char *)(uintptr_t)pem, (unsigned)len };
	OWN(crts) struct crts crts = { 0 };
	gnutls_datum_t out;

	if (len > IDENTITY_PEM_MAX)
		return err_new(ERR_INVALID, "that is too long for a certificate");
	if (gnutls_x509_crt_list_import2(&crts.v, &crts.n, &data, GNUTLS_X509_FMT_PEM, 0) < 0)
		return err_new(ERR_INVALID, "that is no certificate (PEM is expected, as hostel "
					    "trust show prints it)");
	if (crts.n != 1)
		return err_new(ERR_INVALID, "%u certificates, where one is expected", crts.n);
	if (gnutls_x509_crt_export2(crts.v[0], GNUTLS_X509_FMT_DER, &out) < 0)
		return err_new(ERR_INVALID, "that certificate cannot be read");
	digest_of(out.data, out.size, fingerprint);
	gnutls_free(out.data);
	if (gnutls_x509_crt_export2(crts.v[0], GNUTLS_X509_FMT_PEM, &out) < 0)
		return err_new(ERR_INVALID, "that certificate cannot be read");
	*ret_pem = text_of(&out);
	return NULL;
}
