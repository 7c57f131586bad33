// Package driver is what the Go drivers share: records come as lines of JSON, results go out as such.
package driver

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
)

// Retention holds the values of retention.ms that admin sets, one after the other.
var Retention = []string{"86400000", "3600000"}

// Record is what is written and read; a nil key, value or header value is null.
type Record struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Key       *string      `json:"key"`
	Value     *string      `json:"value"`
	Headers   [][2]*string `json:"headers"`
	Timestamp int64        `json:"timestamp"`
}

// Found is what admin saw.
type Found struct {
	Retention  []string `json:"retention"`
	Partitions int      `json:"partitions"`
	Low        int64    `json:"low"`
	Listed     bool     `json:"listed"`
	State      string   `json:"state"`
	Offsets    [][]any  `json:"offsets"`
	Left       bool     `json:"left"`
}

// Transaction is a step of txn.
type Transaction struct {
	Values []string
	Offset int64 // to commit with it, or -1
	Commit bool
}

// Transactions are the steps of txn.
func Transactions() []Transaction {
	many := func(what string) (values []string) {
		for i := 0; i < 10; i++ {
			values = append(values, what+" "+strconv.Itoa(i))
		}
		return
	}
	return []Transaction{{many("aborted"), -1, false}, {many("kept"), 5, true}, {many("aborted again"), 9, false},
		{[]string{"kept too"}, -1, true}}
}

// Bytes of a text, nil for null.
func Bytes(s *string) []byte {
	if s == nil {
		return nil
	}
	return []byte(*s)
}

// Text of bytes, nil for null.
func Text(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

// Check ends the program with an error.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Records of standard input.
func Records() (records []Record) {
	lines := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var r Record
		err := lines.Decode(&r)
		if err == io.EOF {
			return
		}
		Check(err)
		records = append(records, r)
	}
}

var out sync.Mutex

// Say prints a line of JSON.
func Say(what any) {
	line, err := json.Marshal(what)
	Check(err)
	out.Lock()
	defer out.Unlock()
	_, err = os.Stdout.Write(append(line, '\n'))
	Check(err)
}

// ToldToStop is closed when standard input ends.
func ToldToStop() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	return ended
}
