// Package rpz reads response policy zones (draft-vixie-dnsop-dns-rpz) as text: master files
// (RFC 1035, section 5) whose owner names say which questions are meant, and whose data
// what is done about them. Only triggers by the question's name are known.
//
// Whoever wrote such a file is believed about names and about nothing else. It is read
// record by record (record.go) in bounded memory: a record that cannot be used is skipped and
// told with its line (read.go), other files are not read ($INCLUDE), and one line never
// stands for many ($GENERATE).
//
// The package opens no file and knows no rules: records go to a Sink.
package rpz
