package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// closeMax is how long a receiver may take to close after it was told that no more
// comes. One that does not close has most likely read all of it: RFC 5425 has no
// receipt.
const closeMax = 2 * time.Second

// Stream is one try to give a whole stream to a syslog receiver over TLS, RFC
// 5425: it connects, writes, says that no more comes, and waits for the receiver
// to close or to complain. The error is a *Fault.
func Stream(ctx context.Context, r Reach, address string, c *tls.Config, stream []byte) error {
	conn, err := r.Dialer().DialContext(ctx, "tcp", address)
	if err != nil {
		return fault("connect", err)
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		conn.SetDeadline(until)
	}
	t := tls.Client(conn, withName(c, address))
	if err := t.HandshakeContext(ctx); err != nil {
		return fault("tls", err)
	}
	if _, err := t.Write(stream); err != nil {
		return fault("connect", err)
	}
	if err := t.CloseWrite(); err != nil {
		return fault("connect", err)
	}
	conn.SetReadDeadline(time.Now().Add(closeMax))
	// What TLS 1.3 has against this side's certificate comes only now.
	_, err = io.Copy(io.Discard, io.LimitReader(t, 1<<12))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fault("tls", err)
	}
	return nil
}

// withName is a configuration that verifies the receiver by the name it has in
// the address, TLS 1.2 at least.
func withName(c *tls.Config, address string) *tls.Config {
	if c == nil {
		c = new(tls.Config)
	}
	c = c.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	if host, _, err := net.SplitHostPort(address); err == nil && c.ServerName == "" {
		c.ServerName = host
	}
	return c
}
