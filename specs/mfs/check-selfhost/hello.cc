// Threads, exceptions across a thread, streams, the file system, regular expressions: what C++ wants of its library.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <map>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

int main()
{
	std::atomic<int> sum{0};
	std::vector<std::thread> threads;
	for (int i = 1; i <= 4; i++)
		threads.emplace_back([&sum, i] { sum += i; });
	for (auto &thread : threads)
		thread.join();

	auto failing = std::async(std::launch::async, []() -> int { throw std::runtime_error("thrown in a thread"); });
	std::string caught;
	try {
		failing.get();
	} catch (const std::exception &failure) {
		caught = failure.what();
	}

	auto folder = fs::temp_directory_path() / "selfhost";
	fs::create_directories(folder);
	std::ofstream(folder / "file") << "some text";
	fs::create_symlink("file", folder / "link");
	auto size = fs::file_size(folder / "link");
	auto target = fs::read_symlink(folder / "link").string();
	fs::remove_all(folder);

	std::map<std::string, int> words;
	std::string text = "one two one";
	std::regex word("[a-z]+");
	for (std::sregex_iterator i(text.begin(), text.end(), word), end; i != end; ++i)
		words[i->str()]++;

	std::cout << "sum " << sum << ", " << caught << ", size " << size << ", link " << target << ", one " << words["one"] << std::endl;
}
