package seal

import (
	"encoding/base32"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// VersionID is the FHIR versionId of a new version of the resource id that
// follows parents: base32 of 16 bytes of a hash, opaque to everybody
// (PROTOCOL.md#version). nonce is fresh and random.
func VersionID(writer abaton.KeyID, id string, parents []string, nonce [16]byte) string {
	parts := [][]byte{writer[:], nonce[:], wire.U16(uint16(len(parents)))}
	for _, p := range parents {
		parts = append(parts, wire.U16(uint16(len(p))), []byte(p))
	}
	sum := wire.Hash(wire.VersionRef, append(parts, []byte(id))...)
	return base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding).EncodeToString(sum[:16])
}
