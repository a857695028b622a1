package seal

import (
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"sync"

	"github.com/abaton-health/abaton/spread"
)

// Every dictionary ever used stays in the registry: HEAD names it by SHA-256
// and the record cannot be read without it (seal/dictionary/README.md).
//
//go:embed dictionary/*.zdict
var dictionaryFiles embed.FS

// newestFile is the dictionary that new records are compressed with.
const newestFile = "dictionary/r4-1.zdict"

// dictionaries maps the SHA-256 of each dictionary to its bytes. The zero
// hash is no dictionary.
var dictionaries = sync.OnceValue(func() map[spread.Hash32][]byte {
	all := map[spread.Hash32][]byte{{}: nil}
	entries, err := dictionaryFiles.ReadDir("dictionary")
	if err != nil {
		panic("seal: the dictionary folder is embedded")
	}
	for _, entry := range entries {
		b := readDictionary("dictionary/" + entry.Name())
		all[sha256.Sum256(b)] = b
	}
	return all
})

var newestDictionary = sync.OnceValue(func() spread.Hash32 { return sha256.Sum256(readDictionary(newestFile)) })

func readDictionary(name string) []byte {
	b, err := dictionaryFiles.ReadFile(name)
	if err != nil {
		panic("seal: the dictionary is embedded")
	}
	return b
}

// dictionaryID is the id inside the dictionary (RFC 8878, section 5); 0 for
// none.
func dictionaryID(hash spread.Hash32) uint32 {
	if b := dictionaries()[hash]; len(b) >= 8 {
		return binary.LittleEndian.Uint32(b[4:])
	}
	return 0
}
