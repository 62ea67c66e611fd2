/* cli/libraries.c - what each library says of itself. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "cli/libraries.h"
#include <curl/curl.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <pcre2.h>
#include <sqlite3.h>
#include <utf8proc.h>
#include <yaml.h>

/* OpenSSL 1.1 tells its version in a line with its name and date alone. */
#ifndef OPENSSL_VERSION_STRING
#define OPENSSL_VERSION_STRING OPENSSL_VERSION
#endif

json_t *libraries_linked(void)
{
    char pcre2[64] = "";
    pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "sqlite", sqlite3_libversion(),
        "jansson", jansson_version_str(), "yaml", yaml_get_version_string(), "pcre2",
        pcre2, "utf8proc", utf8proc_version(), "curl",
        curl_version_info(CURLVERSION_NOW)->version, "microhttpd", MHD_get_version(),
        "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
}
