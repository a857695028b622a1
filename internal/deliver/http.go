package deliver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// NewClient is the one client that endpoints are told with: no proxy, no
// redirect, nothing kept of what they answer. Nil for the usual TLS.
func NewClient(r Reach, c *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{Proxy: nil, DialContext: r.Dialer().DialContext, TLSClientConfig: c, TLSHandshakeTimeout: dialMax, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// afterMax bounds how long a receiver may want to be left alone.
const afterMax = time.Hour

// Post is one try. The error is a *Fault; a redirect is one.
func Post(ctx context.Context, c *http.Client, endpoint string, header http.Header, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return &Fault{Stage: "address"}
	}
	r.Header = header.Clone()
	resp, err := c.Do(r)
	if err != nil {
		return fault(stageOf(err), err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<12)) // so that the connection serves again
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	f := &Fault{Stage: "answer", Status: resp.StatusCode}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		f.After = min(time.Duration(min(seconds, 86400))*time.Second, afterMax)
	}
	return f
}

func stageOf(err error) string {
	if _, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		return "tls"
	}
	if _, is := errors.AsType[x509.UnknownAuthorityError](err); is {
		return "tls"
	}
	return "connect"
}

// CheckOrigin reports whether a text is an origin that may be told: https, or
// http on a loopback address, and nothing after the host.
func CheckOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || text != u.Scheme+"://"+u.Host || u.User != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname())
}

// Origin is the origin of an endpoint; false for what is none: it has somebody's
// name in it, or a fragment.
func Origin(endpoint string) (string, bool) {
	u, err := url.Parse(endpoint)
	if err != nil || u.User != nil || u.Host == "" || u.Opaque != "" || u.Fragment != "" {
		return "", false
	}
	return u.Scheme + "://" + u.Host, true
}
