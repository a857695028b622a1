package seal

import (
	"fmt"
	"testing"

	"github.com/abaton-health/abaton/spread"
)

func BenchmarkSeal(b *testing.B) {
	for _, count := range []int{1, 7, 63} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			w := newWorld()
			batch := w.batch(count)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Seal(batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, count := range []int{1, 7, 63} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			w := newWorld()
			s := w.seal(b, count)
			m := len(s.Uploads[0].Rows)
			var pieces [][]byte
			for _, st := range w.stored(b, s)[:3] {
				pieces = append(pieces, piece(b, st, all(m)))
			}
			b.ReportAllocs()
			for b.Loop() {
				g := w.gather(b, s.Name, all(m))
				for i, p := range pieces {
					if err := g.Add(w.shape.X[i], p); err != nil {
						b.Fatal(err)
					}
				}
				opened, err := Open(w.segment, g.Result(), w.authors)
				if err != nil || opened[0].Err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, count := range []int{1, 7, 63} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			w := newWorld()
			s := w.seal(b, count)
			data := s.Uploads[0].Bytes()
			b.ReportAllocs()
			for b.Loop() {
				u, err := spread.ParseUpload(data)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := spread.Check(u, w.shape, w.set, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMakePiece(b *testing.B) {
	for _, count := range []int{1, 7, 63} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			w := newWorld()
			stored := w.stored(b, w.seal(b, count))[0]
			rows := all(len(stored.Rows))
			b.ReportAllocs()
			for b.Loop() {
				p, err := spread.MakePiece(stored, rows)
				if err != nil {
					b.Fatal(err)
				}
				p.Bytes()
			}
		})
	}
}
