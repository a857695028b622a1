package keeper

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/abaton-health/abaton"
)

// Client calls one keeper over HTTP/2 and TLS 1.3. The keeper is known by the
// hash of its TLS key in the signed keeper-set document; no certificate
// authority can speak for it. Safe for concurrent use.
type Client struct {
	base string
	http *http.Client
}

// certificateLife is far beyond any key's: the pin decides, not the date.
const certificateLife = 20 * 365 * 24 * time.Hour

// Dial prepares calls to the keeper at base (https://host:port) whose TLS
// public key hashes to pin. It connects on the first call.
func Dial(base string, pin [32]byte) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" {
		return nil, fmt.Errorf("keeper address %q: need https://host:port", base)
	}
	if pin == ([32]byte{}) {
		return nil, errors.New("keeper address: no TLS pin")
	}
	transport := &http.Transport{
		TLSClientConfig:     pinned(pin),
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     idleTimeout,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		DisableCompression:  true,
	}
	return &Client{base: base, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// pinned accepts exactly one public key. Chain verification is replaced, not
// removed: VerifyConnection refuses every other key.
func pinned(pin [32]byte) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // see VerifyConnection: the pin is stricter than any chain
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("keeper showed no certificate")
			}
			got := sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if subtle.ConstantTimeCompare(got[:], pin[:]) != 1 {
				return errors.New("keeper's TLS key is not the one in the keeper set")
			}
			return nil
		},
	}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call posts body to route and returns the answer. A refusal by the keeper is
// an abaton.RefusedError; anything else is the transport's.
func (c *Client) Call(ctx context.Context, route string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+route, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("call keeper: %w", err)
	}
	req.Header.Set("Content-Type", ContentCBOR)
	if route == RouteWitness {
		req.Header.Set("Content-Type", ContentText)
	}
	return c.do(req)
}

// Fetch gets an evidence route: a checkpoint or a tile.
func (c *Client) Fetch(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch evidence: %w", err)
	}
	return c.do(req)
}

func (c *Client) do(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call keeper: %w", err)
	}
	defer resp.Body.Close()
	body, err := readReply(resp)
	if err != nil {
		return nil, fmt.Errorf("read keeper's answer: %w", err)
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return body, nil
	case resp.Header.Get("Content-Type") == contentProblem:
		return nil, parseProblem(resp.StatusCode, body)
	}
	return nil, &StatusError{Status: resp.StatusCode, Content: resp.Header.Get("Content-Type"), Body: body}
}

func readReply(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > abaton.ReplyBodyMax {
		return nil, errors.New("over the limit")
	}
	if resp.ContentLength >= 0 {
		body := make([]byte, resp.ContentLength)
		_, err := io.ReadFull(resp.Body, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, abaton.ReplyBodyMax+1))
	if err == nil && len(body) > abaton.ReplyBodyMax {
		return nil, errors.New("over the limit")
	}
	return body, err
}

// NewCertificate makes a self-signed P-256 certificate (browsers know no
// Ed25519 there) for a 32-byte private scalar; the hash of its public key is
// what the keeper set pins.
func NewCertificate(scalar []byte) (tls.Certificate, [32]byte, error) {
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		return tls.Certificate{}, [32]byte{}, errors.New("make certificate: not a P-256 scalar")
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "abaton keeper"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(0, 0).Add(certificateLife * 10),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return tls.Certificate{}, [32]byte{}, fmt.Errorf("make certificate: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, [32]byte{}, fmt.Errorf("make certificate: %w", err)
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: parsed}
	return cert, sha256.Sum256(parsed.RawSubjectPublicKeyInfo), nil
}

// TLSConfig is what a keeper listens with: TLS 1.3 only, HTTP/2 offered, the
// hybrid post-quantum key exchange first (Go's default).
func TLSConfig(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		NextProtos:   []string{"h2", "http/1.1"},
	}
}
