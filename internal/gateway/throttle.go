package gateway

import (
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// Rate is how many requests may come: PerSecond for long, Burst at once.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// DefaultPerPerson is more than a busy application asks, and less than would
// keep others waiting.
func DefaultPerPerson() Rate { return Rate{PerSecond: 2000, Burst: 8000} }

// DefaultPerOrigin is a clinic signing in at eight o'clock from one address.
func DefaultPerOrigin() Rate { return Rate{PerSecond: 50, Burst: 500} }

func (r Rate) valid() bool { return r.PerSecond > 0 && r.Burst >= 1 }

// bucket holds what is left of a rate. The zero bucket is full at its first
// use.
type bucket struct {
	mu   sync.Mutex
	left float64
	at   time.Time
}

// take uses one request up; if there is none left, wait says when there will
// be. A clock set back gives nothing for free.
func (b *bucket) take(r Rate, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.left = r.Burst
	} else if passed := now.Sub(b.at); passed > 0 {
		b.left = min(r.Burst, b.left+passed.Seconds()*r.PerSecond)
	}
	b.at = now
	if b.left < 1 {
		return time.Duration((1 - b.left) / r.PerSecond * float64(time.Second))
	}
	b.left--
	return 0
}

// idle reports whether a bucket is full again, so that it may be forgotten.
func (b *bucket) idle(r Rate, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left+now.Sub(b.at).Seconds()*r.PerSecond >= r.Burst
}

// addresses bounds what comes without a session, by where it comes from: an
// IPv4 address, or an IPv6 network of 64 bits, which is one customer's.
type addresses struct {
	mu   sync.Mutex
	by   map[netip.Prefix]*bucket
	rest bucket // of all the others when there are too many
}

func (a *addresses) take(r *http.Request, rate Rate, now time.Time) time.Duration {
	return a.bucketOf(networkOf(r.RemoteAddr), rate, now).take(rate, now)
}

func (a *addresses) bucketOf(from netip.Prefix, rate Rate, now time.Time) *bucket {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b := a.by[from]; b != nil {
		return b
	}
	if len(a.by) >= addressesMax {
		for other, b := range a.by {
			if b.idle(rate, now) {
				delete(a.by, other)
			}
		}
	}
	if len(a.by) >= addressesMax || !from.IsValid() {
		return &a.rest
	}
	b := new(bucket)
	a.by[from] = b
	return b
}

// networkOf is where a request comes from, the zero Prefix if it cannot be
// told.
func networkOf(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}

// tooFast refuses a request until wait has passed.
func tooFast(w http.ResponseWriter, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
	return refusal(http.StatusTooManyRequests, "throttled", "too many requests at once; wait as long as Retry-After says")
}
