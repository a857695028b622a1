// Package deliver takes bytes to where an operator said: one try by HTTP, by
// syslog over TLS, or by e-mail, and how long to wait before the next.
//
//	c := deliver.NewClient(deliver.Public, nil)
//	err := deliver.Post(ctx, c, endpoint, header, body)
//
// It keeps nothing and tries nothing twice: who calls it does. It looks at no byte
// of what it carries; that no fact of a patient is in it, the callers see to.
// Errors have neither addresses nor headers nor answers.
package deliver

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Reach is which addresses may be connected to. The zero Reach is the narrowest.
type Reach uint8

// How far one may reach.
const (
	Public Reach = iota // addresses of the internet
	Inside              // those of the house and of this machine too
)

// ErrAddress says that a name leads to an address that may not be connected to.
var ErrAddress = errors.New("deliver: the address may not be connected to")

// Allows reports whether an address may be connected to. Link-local addresses,
// where clouds keep their secrets, and those that are nobody's never may.
func (r Reach) Allows(a netip.Addr) bool {
	a = a.Unmap()
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return false
	case r == Inside:
		return true
	}
	return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !shared(a)
}

// shared is RFC 6598, and the ranges of RFC 6890 that lead nowhere or back into
// IPv4.
func shared(a netip.Addr) bool {
	for _, text := range [...]string{"100.64.0.0/10", "0.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"} {
		if netip.MustParsePrefix(text).Contains(a) {
			return true
		}
	}
	return false
}

// dialMax is how long a connection may take to come about.
const dialMax = 10 * time.Second

// Dialer connects to allowed addresses only. It looks at each address that a name
// gives, when it connects, so that a name cannot change its meaning in between.
func (r Reach) Dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialMax, Control: func(_, address string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err != nil || !r.Allows(at.Addr()) {
			return ErrAddress
		}
		return nil
	}}
}

// Fault is a try that did not succeed. Stage is one of connect, tls, address,
// sign-in, answer; Status is the receiver's, 0 for none.
type Fault struct {
	Stage  string
	Status int
	After  time.Duration // how long the receiver wants to be left alone; 0: it does not say
}

func (f *Fault) Error() string {
	if f.Status != 0 {
		return fmt.Sprintf("deliver: %s: the receiver said %d", f.Stage, f.Status)
	}
	return "deliver: " + f.Stage
}

// fault is the stage that an error of a connection is of.
func fault(stage string, err error) *Fault {
	if errors.Is(err, ErrAddress) {
		stage = "address"
	}
	return &Fault{Stage: stage}
}

// Pause is how long to wait before try number n, from 1: first, doubled for each
// one after, at most longest, and of that a random part, half at least, so that
// many who wait for one receiver do not come at once.
func Pause(n int, first, longest time.Duration) time.Duration {
	pause := first
	for ; n > 1 && pause < longest; n-- {
		pause *= 2
	}
	pause = min(pause, longest)
	var b [8]byte
	rand.Read(b[:])
	half := uint64(pause / 2)
	return time.Duration(half + binary.BigEndian.Uint64(b[:])%(half+1))
}
