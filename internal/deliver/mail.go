package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/smtp"
	"net/textproto"
)

// Post office of e-mails. Never without TLS: a receiver that does not offer
// STARTTLS gets nothing.
type Office struct {
	Reach    Reach
	Address  string      // host:port
	Implicit bool        // TLS from the first byte (RFC 8314), else STARTTLS (RFC 3207)
	TLS      *tls.Config // nil for the usual
	Hello    string      // what this side calls itself; empty for localhost
	Account  string      // empty: without signing in
	Password string
}

// Mail is one try to hand over one e-mail. The error is a *Fault.
func (o *Office) Mail(ctx context.Context, from string, to []string, message []byte) error {
	conn, err := o.Reach.Dialer().DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return fault("connect", err)
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		conn.SetDeadline(until)
	}
	c, err := o.secure(ctx, conn)
	if err != nil {
		return err
	}
	defer c.Close()
	if o.Account != "" {
		host, _, _ := net.SplitHostPort(o.Address)
		if err := c.Auth(smtp.PlainAuth("", o.Account, o.Password, host)); err != nil {
			return said("sign-in", err)
		}
	}
	if err := hand(c, from, to, message); err != nil {
		return said("answer", err)
	}
	c.Quit() // it is handed over already
	return nil
}

// secure greets, under TLS in any case.
func (o *Office) secure(ctx context.Context, conn net.Conn) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, &Fault{Stage: "address"}
	}
	if o.Implicit {
		t := tls.Client(conn, withName(o.TLS, o.Address))
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, fault("tls", err)
		}
		conn = t
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return nil, said("connect", err)
	}
	if o.Hello != "" {
		if err := c.Hello(o.Hello); err != nil {
			return nil, said("connect", err)
		}
	}
	if o.Implicit {
		return c, nil
	}
	if offers, _ := c.Extension("STARTTLS"); !offers {
		return nil, &Fault{Stage: "tls"}
	}
	if err := c.StartTLS(withName(o.TLS, o.Address)); err != nil {
		return nil, fault("tls", err)
	}
	return c, nil
}

func hand(c *smtp.Client, from string, to []string, message []byte) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, one := range to {
		if err := c.Rcpt(one); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	return w.Close()
}

// said keeps the receiver's number, and none of its words.
func said(stage string, err error) *Fault {
	f := fault(stage, err)
	if e, is := errors.AsType[*textproto.Error](err); is {
		f.Status = e.Code
	}
	return f
}
