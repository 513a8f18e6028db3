# Run by every build (cmake -P) with SOURCE_DIR, VERSION, COMPILER, LIBRARIES ("name version|...") and OUTPUT: writes the definitions of src/train/version.h,
# touching the file only if they have changed. --no-optional-locks: a build must not stand in the way of a git command beside it.
execute_process(COMMAND git rev-parse --short=12 HEAD WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE commit
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
else()
  execute_process(COMMAND git --no-optional-locks status --porcelain --untracked-files=no
                  WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    set(commit "${commit}-dirty")
  endif()
endif()
string(REPLACE "|" ";" libraries "${LIBRARIES}")
set(list "")
foreach(library IN LISTS libraries)
  string(REGEX MATCH "^([^ ]+) (.+)$" named "${library}") # one without a version stays out
  if(named)
    string(APPEND list "{\"${CMAKE_MATCH_1}\", \"${CMAKE_MATCH_2}\"}, ")
  endif()
endforeach()
set(text "#include \"train/version.h\"\n
std::string gfsa::train::version() { return \"${VERSION}\"; }
std::string gfsa::train::commit() { return \"${commit}\"; }
std::string gfsa::train::compiler() { return \"${COMPILER}\"; }
std::vector<std::pair<std::string, std::string>> gfsa::train::libraries() { return {${list}}; }\n")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
