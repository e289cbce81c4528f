// array.h - a NumPy array as C++ finds it in memory: reading its fields here takes a hundredth of the time that Python
// would.  Pasted before the code that needs it.
#include <stddef.h>

// What of NumPy's array object follows the head that all objects have (PyArrayObject_fields in numpy/ndarraytypes.h).
struct MinivaeArray {
  char* data;
  int axes;
  const ptrdiff_t *shape, *strides;
  const void *base, *dtype;
  int flags;
};
