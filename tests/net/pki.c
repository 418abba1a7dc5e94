/*
 * pki.c - an authority of the test's own, and certificates of every kind.
 */
#include "net/pki.h"

#include "support/test.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAY (24 * 60 * 60)
#define LINKS 20            /* of a long chain */
#define HUGE_NAMES 40000    /* of 26 bytes: more than 1 MiB */

struct pair {
	X509 *cert;
	EVP_PKEY *key;
};

static struct pair authority, other;
static X509_CRL *list;
static long serial;
static X509 *last;
static char authority_path[4096], list_path[4096];

static EVP_PKEY *key_new(int rsa)
{
	EVP_PKEY *key = rsa != 0 ? EVP_RSA_gen((unsigned)rsa) : EVP_EC_gen("P-256");

	REQUIRE(key != NULL);
	return key;
}

static void add(X509 *cert, int what, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, what, value);

	REQUIRE(e != NULL && X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

/* A certificate for NAME and KEY, not yet signed; ISSUER is NULL for one that signs itself. */
static X509 *cert_new(const char *name, EVP_PKEY *key, const struct pair *issuer)
{
	X509 *cert = X509_new();
	X509_NAME *n = cert != NULL ? X509_get_subject_name(cert) : NULL;

	REQUIRE(n != NULL && X509_set_version(cert, X509_VERSION_3) == 1);
	REQUIRE_EQ(ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial), 1);
	REQUIRE(X509_gmtime_adj(X509_getm_notBefore(cert), -DAY) != NULL);
	REQUIRE(X509_gmtime_adj(X509_getm_notAfter(cert), DAY) != NULL);
	REQUIRE_EQ(X509_NAME_add_entry_by_txt(
		       n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0), 1);
	REQUIRE_EQ(X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer->cert) : n), 1);
	REQUIRE_EQ(X509_set_pubkey(cert, key), 1);
	return cert;
}

/* Signed by ISSUER, or by itself.  Not of RSA: to find its primes takes half a second, in each test anew. */
static struct pair authority_new(const char *name, const struct pair *issuer)
{
	struct pair p = {.key = key_new(0)};

	p.cert = cert_new(name, p.key, issuer);
	add(p.cert, NID_basic_constraints, "critical,CA:TRUE");
	add(p.cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	REQUIRE(X509_sign(p.cert, issuer != NULL ? issuer->key : p.key, EVP_sha256()) > 0);
	return p;
}

static void pair_free(struct pair *p)
{
	X509_free(p->cert);
	EVP_PKEY_free(p->key);
}

static FILE *file_open(const char *path)
{
	FILE *f;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0);
	f = fdopen(fd, "w");
	REQUIRE(f != NULL);
	return f;
}

static void list_write(void)
{
	ASN1_TIME *now = X509_gmtime_adj(NULL, -DAY), *then = X509_gmtime_adj(NULL, DAY);
	FILE *f = file_open(list_path);

	REQUIRE_EQ(X509_CRL_set1_lastUpdate(list, now), 1);
	REQUIRE_EQ(X509_CRL_set1_nextUpdate(list, then), 1);
	REQUIRE(X509_CRL_sort(list) == 1 && X509_CRL_sign(list, authority.key, EVP_sha256()) > 0);
	REQUIRE_EQ(PEM_write_X509_CRL(f, list), 1);
	REQUIRE_EQ(fclose(f), 0);
	ASN1_TIME_free(now);
	ASN1_TIME_free(then);
}

void pki_open(void)
{
	FILE *f;

	if (authority.cert != NULL)
		return;
	snprintf(authority_path, sizeof authority_path, "%s", test_path("ca.pem"));
	snprintf(list_path, sizeof list_path, "%s", test_path("crl.pem"));
	authority = authority_new("the authority", NULL);
	other = authority_new("another authority", NULL);
	f = file_open(authority_path);
	REQUIRE_EQ(PEM_write_X509(f, authority.cert), 1);
	REQUIRE_EQ(fclose(f), 0);
	list = X509_CRL_new();
	REQUIRE(list != NULL && X509_CRL_set_version(list, X509_CRL_VERSION_2) == 1);
	REQUIRE_EQ(X509_CRL_set_issuer_name(list, X509_get_subject_name(authority.cert)), 1);
	list_write();
}

const char *pki_authority(void)
{
	return authority_path;
}

const char *pki_list(void)
{
	return list_path;
}

void pki_take_back(void)
{
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, -1);

	REQUIRE(r != NULL && now != NULL);
	REQUIRE_EQ(X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(last)), 1);
	REQUIRE_EQ(X509_REVOKED_set_revocationDate(r, now), 1);
	REQUIRE_EQ(X509_CRL_add0_revoked(list, r), 1);
	ASN1_TIME_free(now);
	list_write();
}

/* So many names that the certificate is larger than 1 MiB. */
static void add_names(X509 *cert, const char *name)
{
	size_t size = (size_t)HUGE_NAMES * 40 + 200, n;
	char *text = malloc(size);

	REQUIRE(text != NULL);
	n = (size_t)snprintf(text, size, "DNS:%s,DNS:localhost,IP:127.0.0.1", name);
	for (int i = 0; i < HUGE_NAMES; i++)
		n += (size_t)snprintf(text + n, size - n, ",DNS:one-more-name-%08d.org", i);
	add(cert, NID_subject_alt_name, text);
	free(text);
}

static void add_uses(X509 *cert, const char *name, enum pki_kind kind)
{
	char names[256];

	add(cert, NID_basic_constraints, "critical,CA:FALSE");
	if (kind == PKI_OTHER_USE)
		add(cert, NID_ext_key_usage, "codeSigning");
	else if (kind != PKI_NO_USE)
		add(cert, NID_ext_key_usage, "clientAuth,serverAuth");
	snprintf(names, sizeof names, "DNS:%s,DNS:localhost,IP:127.0.0.1", name);
	if (kind == PKI_HUGE)
		add_names(cert, name);
	else
		add(cert, NID_subject_alt_name, names);
}

static void set_times(X509 *cert, enum pki_kind kind)
{
	if (kind == PKI_EXPIRED)
		REQUIRE(X509_gmtime_adj(X509_getm_notAfter(cert), -1) != NULL);
	if (kind == PKI_EARLY)
		REQUIRE(X509_gmtime_adj(X509_getm_notBefore(cert), DAY / 2) != NULL);
}

/* The end of a chain of LINKS authorities, each written to F. */
static struct pair chain_new(FILE *f)
{
	struct pair links[LINKS];
	char name[32];

	for (int i = 0; i < LINKS; i++) {
		snprintf(name, sizeof name, "link %d", i);
		links[i] = authority_new(name, i == 0 ? &authority : &links[i - 1]);
	}
	for (int i = LINKS - 1; i >= 0; i--)
		REQUIRE_EQ(PEM_write_X509(f, links[i].cert), 1);
	for (int i = 0; i < LINKS - 1; i++)
		pair_free(&links[i]);
	return links[LINKS - 1];
}

const char *pki_issue(const char *name, enum pki_kind kind)
{
	struct pair link = {0}, *issuer = &authority;
	EVP_PKEY *key = key_new(kind == PKI_WEAK_KEY ? 1024 : 0);
	const char *path;
	char file[64], chain_path[4096] = "";
	FILE *f;
	char line[256];

	pki_open();
	snprintf(file, sizeof file, "%s-%d-%ld.pem", name, (int)kind, serial);
	path = test_path(file);
	if (kind == PKI_LONG_CHAIN) {
		snprintf(chain_path, sizeof chain_path, "%s", test_path("chain.pem"));
		f = file_open(chain_path);
		link = chain_new(f);
		REQUIRE_EQ(fclose(f), 0);
		issuer = &link;
	}
	if (kind == PKI_OTHER_AUTHORITY)
		issuer = &other;
	X509_free(last);
	last = cert_new(name, key, kind == PKI_SELF_SIGNED ? NULL : issuer);
	set_times(last, kind);
	add_uses(last, name, kind);
	REQUIRE(X509_sign(last, kind == PKI_SELF_SIGNED ? key : issuer->key,
		    kind == PKI_WEAK_HASH ? EVP_sha1() : EVP_sha256()) > 0);
	f = file_open(path);
	REQUIRE_EQ(PEM_write_X509(f, last), 1);
	if (*chain_path != '\0') {
		FILE *links = fopen(chain_path, "re");

		REQUIRE(links != NULL);
		while (fgets(line, sizeof line, links) != NULL)
			REQUIRE(fputs(line, f) >= 0);
		fclose(links);
	}
	REQUIRE_EQ(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	REQUIRE_EQ(fclose(f), 0);
	EVP_PKEY_free(key);
	pair_free(&link);
	if (kind == PKI_REVOKED)
		pki_take_back();
	return path;
}

struct cohort_net_options pki_options(const char *name)
{
	const char *cert = pki_issue(name, PKI_GOOD);

	return (struct cohort_net_options){
	    .name = name, .cert_file = cert, .ca_file = authority_path};
}
