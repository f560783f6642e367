# Put the page of `omma look` together and turn it into C: the styles and the program, which is one
# function made of its files in this order, go into the HTML where it names them.
#   cmake -DFROM=src/view/look -DTO=build/look_page.c -P embed_look.cmake
# Nothing but the sources' bytes goes in, so the same sources give the same file.
file(READ ${FROM}/look.html page)
set(css "")
set(js "")
foreach(name page panel narrow)
  file(READ ${FROM}/${name}.css part)
  string(APPEND css "${part}")
endforeach()
foreach(name data color sets widgets stage field field_panel attention attention_panel change queries
    answers about app)
  file(READ ${FROM}/${name}.js part)
  string(APPEND js "${part}")
endforeach()
string(REPLACE "@LOOK_CSS@" "${css}" page "${page}")
string(REPLACE "@LOOK_JS@" "(() => {\n\"use strict\";\n${js}})();" page "${page}")
file(WRITE ${TO}.html "${page}")
file(READ ${TO}.html hex HEX)
file(SIZE ${TO}.html size)
file(REMOVE ${TO}.html)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${TO} "/* look_page.c - generated from src/view/look/ by cmake/embed_look.cmake. */
#include \"view/look_page.h\"

const size_t omma_look_page_size = ${size};
const unsigned char omma_look_page[] = {
${hex}
};
")
