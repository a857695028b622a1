package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"time"

	"github.com/klauspost/reedsolomon"

	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// limits measures what nobody can avoid: the bare cost of the primitives for
// one record, and of one round trip with one fsync.
func limits(ctx context.Context, b *bench) error {
	b.add(row{Name: "bare primitives, 2 KB record", Value: barePrimitives(2048), Unit: "µs", Detail: "AES-256-GCM + RS 3 of 5 + SHA-256 of all fragments"})
	b.add(row{Name: "bare HPKE encapsulation", Value: bareHPKE(), Unit: "µs", Detail: "MLKEM768-X25519, export only"})
	fsync, err := bareFsync()
	if err != nil {
		return err
	}
	b.add(row{Name: "bare fsync of 4 KB", Value: fsync, Unit: "ms"})
	trip, err := bareRoundTrip(ctx)
	if err != nil {
		return err
	}
	b.add(row{Name: "bare loopback TLS 1.3 h2 round trip", Value: trip, Unit: "ms", Detail: "1 KB up and down"})
	return nil
}

func (b *bench) value(name string) float64 {
	for _, r := range b.rows {
		if r.Name == name {
			return r.Value
		}
	}
	return 0
}

func barePrimitives(size int) float64 {
	plain := make([]byte, size)
	rand.Read(plain)
	secret := key.NewSecret()
	code, err := reedsolomon.New(3, 2, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		panic("bench: 3 of 5 is a valid code")
	}
	return perOp(20, 500, func() {
		block, _ := aes.NewCipher(secret[:])
		gcm, _ := cipher.NewGCM(block)
		ct := gcm.Seal(nil, make([]byte, 12), plain, nil)
		shards, _ := code.Split(ct)
		code.Encode(shards)
		for _, s := range shards {
			sha256.Sum256(s)
		}
	})
}

func bareHPKE() float64 {
	public := key.NewBox().Public()
	return perOp(10, 50, func() { public.Encapsulate([]byte("bench")) })
}

func bareFsync() (float64, error) {
	f, err := os.CreateTemp("", "abaton-bench-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	var all []time.Duration
	for range 300 {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(start))
	}
	return percentile(all, 0.5), nil
}

func bareRoundTrip(ctx context.Context) (float64, error) {
	base, pin, stop, err := echo()
	if err != nil {
		return 0, err
	}
	defer stop()
	c, err := keeper.Dial(base, pin)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	body := bytes.Repeat([]byte{7}, 1024)
	var all []time.Duration
	for i := range 600 {
		start := time.Now()
		if _, err := c.Call(ctx, "/echo", body); err != nil {
			return 0, err
		}
		if i >= 100 {
			all = append(all, time.Since(start))
		}
	}
	return percentile(all, 0.5), nil
}

// bareSignatures is the cost of one Ed25519 signature and one verification,
// in µs.
func bareSignatures() (sign, verify float64) {
	k := key.NewSigning()
	body := make([]byte, 400)
	sig := k.Sign(wire.Request, body)
	sign = perOp(10, 100, func() { k.Sign(wire.Request, body) })
	verify = perOp(10, 100, func() { key.Verify(k.ID(), wire.Request, body, sig) })
	return sign, verify
}
