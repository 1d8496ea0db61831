/* The module `linkerd2_py._ext.engine`: one shared object with all modules of the engine in it.

   `setup.py` writes the table of them, `MODULES`, and includes this file after it. A module is made and run as
   the import system does with one that has a file of its own (PEP 489); `_ext/__init__.py` asks for them. */

#define COUNT ((Py_ssize_t)(sizeof MODULES / sizeof MODULES[0]))

static PyObject *names(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    PyObject *found = PyTuple_New(COUNT);
    for (Py_ssize_t i = 0; found != NULL && i < COUNT; i++) {
        PyObject *name = PyUnicode_InternFromString(MODULES[i].name);
        if (name == NULL)
            Py_CLEAR(found);
        else
            PyTuple_SET_ITEM(found, i, name);
    }
    return found;
}

static PyObject *create(PyObject *Py_UNUSED(module), PyObject *spec)
{
    PyObject *name = PyObject_GetAttrString(spec, "name");
    const char *wanted = name == NULL ? NULL : PyUnicode_AsUTF8(name);
    PyObject *made = NULL;
    if (wanted != NULL) {
        Py_ssize_t i = 0;
        while (i < COUNT && strcmp(MODULES[i].name, wanted) != 0)
            i++;
        PyObject *definition = NULL;
        if (i == COUNT)
            PyErr_Format(PyExc_ImportError, "the engine has no module %R", name);
        else
            definition = MODULES[i].initfunc();  /* borrowed: it is static */
        if (definition != NULL)
            made = PyModule_FromDefAndSpec((PyModuleDef *)definition, spec);
    }
    Py_XDECREF(name);
    return made;
}

static PyObject *execute(PyObject *Py_UNUSED(module), PyObject *made)
{
    PyModuleDef *definition = PyModule_GetDef(made);
    if (definition == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "no module of the engine");
        return NULL;
    }
    if (PyModule_ExecDef(made, definition) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"names", names, METH_NOARGS, "Full names of all modules."},
    {"create", create, METH_O, "The module that a spec names, not yet run."},
    {"execute", execute, METH_O, "Run a module that was created."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static PyModuleDef engine = {
    PyModuleDef_HEAD_INIT,
    .m_name = "linkerd2_py._ext.engine",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_engine(void)
{
    return PyModuleDef_Init(&engine);
}
