package ledger_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// quiet is a key that costs nothing, so that the rest can be measured.
type quiet struct{}

func (quiet) ID() abaton.KeyID        { return abaton.KeyID{1} }
func (quiet) SignRaw(m []byte) []byte { return make([]byte, 64) }

func quietConfig(tb testing.TB) ledger.Config {
	s, err := ledger.NewSigner(origin, quiet{})
	if err != nil {
		tb.Fatal(err)
	}
	return ledger.Config{Origin: origin, Keeper: 1, Signer: s, Verifier: s.Verifier(), Cosigner: s.Cosigner()}
}

func BenchmarkAppend(b *testing.B) {
	for _, group := range []int{1, 64} {
		for name, cfg := range map[string]ledger.Config{"signed": keeperOne(b), "unsigned": quietConfig(b)} {
			cfg.VerifyOwn = false
			b.Run(fmt.Sprintf("%d-%s", group, name), func(b *testing.B) {
				l := newLedger(b, cfg)
				entries := make([]ledger.Entry, group)
				n := uint64(0)
				b.ReportAllocs()
				for b.Loop() {
					for i := range entries {
						entries[i] = release("r", "doctor", "a")
						binary.BigEndian.PutUint64(entries[i].Patient[:], n%1000+1)
						n++
					}
					l.add(b, at(1), entries...)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/entry")
			})
		}
	}
}

func BenchmarkReceipt(b *testing.B) {
	l := filled(b, quietConfig(b), 10_000)
	g := l.add(b, at(1), make64()...)
	b.Run("group", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := g.Proof(17); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("storage", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.Inclusion(4711, l.Size()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	cfg := keeperOne(b)
	l := filled(b, cfg, 10_000)
	for _, quick := range []bool{false, true} {
		cfg.Quick = quick
		b.Run(fmt.Sprintf("10000-quick-%v", quick), func(b *testing.B) {
			for b.Loop() {
				if _, err := ledger.Open(cfg, l.store); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func make64() []ledger.Entry {
	out := make([]ledger.Entry, 64)
	for i := range out {
		out[i] = release(string(rune('A'+i)), "doctor", "a")
	}
	return out
}
