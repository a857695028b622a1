package spread_test

import (
	"fmt"

	"github.com/abaton-health/abaton/spread"
)

// Any three of five shares give the secret back.
func ExampleSplit() {
	secret := [32]byte{1, 2, 3}
	shares := spread.Split(secret, 3, spread.FiveKeepers().X)
	again, err := spread.Combine([]spread.Share{shares[4], shares[0], shares[2]})
	fmt.Println(again == secret, err)
	// Output: true <nil>
}
