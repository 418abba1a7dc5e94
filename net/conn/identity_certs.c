/*
 * identity_certs.c - the part of an identity that certificates are.
 */
#include "conn/identity.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/name.h"

#include <errno.h>
#include <string.h>

static int copy(char **to, const char *from, struct cohort_error *err)
{
	*to = from != NULL ? coh_strdup(from) : NULL;
	return from != NULL && *to == NULL ? coh_fail(err, -ENOMEM, "certificates: no memory") : 0;
}

static int peers_copy(
    struct coh_identity_certs *c, const char *const *peers, struct cohort_error *err)
{
	size_t n = 0;
	int rc = 0;

	while (peers[n] != NULL)
		n++;
	c->peers = coh_calloc((n + 1) * sizeof *c->peers);
	if (c->peers == NULL)
		return coh_fail(err, -ENOMEM, "certificates: no memory");
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = coh_name_valid(peers[i], strlen(peers[i]))
		    ? copy(&c->peers[i], peers[i], err)
		    : coh_fail(err, COHORT_ENAME, "peers: \"%.80s\": %s", peers[i],
			  cohort_strerror(COHORT_ENAME));
	return rc;
}

int coh_identity_certs_init(struct coh_identity_certs *c, const struct cohort_net_options *o,
    struct cohort_error *err)
{
	int rc = 0;

	if ((o->cert_file == NULL) != (o->ca_file == NULL))
		return coh_fail(err, COHORT_EKEY,
		    "certificates: got only %s; both are needed: our own (cert_file) and whose signature "
		    "peers must show (ca_file)",
		    o->cert_file != NULL ? o->cert_file : o->ca_file);
	if (o->cert_file == NULL && (o->crl_file != NULL || o->peers != NULL))
		return coh_fail(err, COHORT_EARGUMENT,
		    "%s: only certificates prove names; give cert_file and ca_file too",
		    o->crl_file != NULL ? "crl_file" : "peers");
	if (o->cert_file == NULL)
		return 0;
	rc = copy(&c->cert_file, o->cert_file, err);
	if (rc == 0)
		rc = copy(&c->ca_file, o->ca_file, err);
	if (rc == 0)
		rc = copy(&c->crl_file, o->crl_file, err);
	if (rc == 0 && o->peers != NULL)
		rc = peers_copy(c, o->peers, err);
	return rc == 0 ? coh_identity_certs_read(&c->loaded, c, err) : rc;
}

int coh_identity_certs_read(
    struct coh_tls_certs **out, const struct coh_identity_certs *c, struct cohort_error *err)
{
	*out = NULL;
	return c->cert_file == NULL
	    ? 0
	    : coh_tls_certs_load(out,
		  &(struct coh_tls_files){
		      .cert_file = c->cert_file, .ca_file = c->ca_file, .crl_file = c->crl_file},
		  err);
}

bool coh_identity_certs_expect(const struct coh_identity_certs *c, const char *name)
{
	if (c->peers == NULL)
		return true;
	for (size_t i = 0; c->peers[i] != NULL; i++)
		if (strcmp(c->peers[i], name) == 0)
			return true;
	return false;
}

void coh_identity_certs_fini(struct coh_identity_certs *c)
{
	coh_tls_certs_free(c->loaded);
	coh_free(c->cert_file);
	coh_free(c->ca_file);
	coh_free(c->crl_file);
	for (size_t i = 0; c->peers != NULL && c->peers[i] != NULL; i++)
		coh_free(c->peers[i]);
	coh_free(c->peers);
	*c = (struct coh_identity_certs){0};
}
