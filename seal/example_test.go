package seal_test

import (
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/spread"
)

// A writer seals, five keepers check and store, a reader opens from three of
// them.
func Example() {
	patient, line, set, clinic := abaton.ActorID{1}, abaton.Line{2}, abaton.ActorID{3}, abaton.ActorID{4}
	segment, writer, author, shape := key.NewBox(), key.NewSigning(), key.NewSigning(), spread.FiveKeepers()

	sealed, err := seal.Seal(seal.Batch{
		Patient: patient, Line: line, Segment: segment.Public(), Set: set, Shape: shape,
		Writer: writer, Seq: 1, Hour: 490000, Author: seal.Author{Actor: clinic, Key: author},
		Records: []seal.Record{{
			Envelope: seal.Envelope{Patient: patient, Line: line, Kind: seal.KindResource, Type: "Observation", ID: "bp", VersionID: "1"},
			Content:  []byte(`{"resourceType":"Observation","id":"bp"}`),
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	entitled := func(*spread.Head, *spread.Lock) error { return nil } // a real reader asks the key logs
	gather, err := spread.NewGather(sealed.Name, 1, shape, set, entitled)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, upload := range sealed.Uploads[:3] {
		checked, err := spread.Check(upload, shape, set, upload.X) // at the keeper
		if err != nil {
			fmt.Println(err)
			return
		}
		piece, err := spread.MakePiece(checked.Stored(), 1)
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := gather.Add(upload.X, piece.Bytes()); err != nil {
			fmt.Println(err)
			return
		}
	}
	authors := func(abaton.ActorID) []abaton.KeyID { return []abaton.KeyID{author.ID()} }
	opened, err := seal.Open(segment, gather.Result(), authors)
	if err != nil || opened[0].Err != nil {
		fmt.Println(err, opened)
		return
	}
	fmt.Printf("%s\n", opened[0].Record.Content)
	// Output: {"resourceType":"Observation","id":"bp"}
}
