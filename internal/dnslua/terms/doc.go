// Package terms is what scripts write for the numbers of DNS, and read of them: classes,
// types, RCODEs, ranks and the like as constants and as text, flags that say how questions
// are resolved, and names, types and flags where a function takes them as arguments.
//
// It knows no message and no request. What stands for them is in packages records and
// requests.
package terms
