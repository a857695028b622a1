package store_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
)

func overBothBench(b *testing.B, run func(b *testing.B, s *store.Store)) {
	b.Run("memory", func(b *testing.B) { run(b, newMemoryStore(b)) })
	b.Run("pebble", func(b *testing.B) {
		s, err := store.Open(b.TempDir(), store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		run(b, s)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkDeposit is one durable deposit of 64 records.
func BenchmarkDeposit(b *testing.B) {
	overBothBench(b, func(b *testing.B, s *store.Store) {
		p := parcelOf(1, 64)
		for i := 0; b.Loop(); i++ {
			p.Batch = abaton.BatchName{byte(i), byte(i >> 8), byte(i >> 16)}
			deposit(b, s, ana, p)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for name, wanted := range map[string]uint64{"1": 1 << 17, "64": ^uint64(0)} {
		b.Run(name, func(b *testing.B) {
			overBothBench(b, func(b *testing.B, s *store.Store) {
				p := parcelOf(1, 64)
				for i := range 20 {
					p.Batch[0] = byte(i)
					deposit(b, s, ana, p)
				}
				for b.Loop() {
					if _, _, err := s.Records(ana, p.Batch, wanted); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkErase erases one record of a chart of 1,280.
func BenchmarkErase(b *testing.B) {
	overBothBench(b, func(b *testing.B, s *store.Store) {
		p := parcelOf(1, 64)
		for i := range 20 {
			p.Batch[0] = byte(i)
			deposit(b, s, ana, p)
		}
		for b.Loop() {
			if err := s.Erase(ana, []store.Erasure{{Batch: p.Batch, Records: 1}}, new(store.Change)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
